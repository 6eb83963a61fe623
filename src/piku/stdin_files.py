"""A file that a command takes (a key, a certificate, an archive), though it runs as another user or
elsewhere.

The file becomes its standard input. No other word of a command is read as a file's name.
"""

import os
from collections.abc import Sequence
from itertools import pairwise

from piku.errors import PikuError

COMMANDS = ("setup:ssh", "keys:add", "certs:add", "deploy")
_VALUES = ("--name", "--role", "--app", "--from", "--expires")  # options whose values are no files


def replaced(words: Sequence[str], app: str) -> list[str]:
    """The command with "-" for the file that it names, which is our standard input now."""
    named = [
        word
        for before, word in pairwise(words)
        if words[0] in COMMANDS and before not in _VALUES and word != app and os.path.isfile(word)
        if words[0] != "deploy" or before == "--archive"
    ]
    if not named:
        return list(words)
    with open(named[-1], "rb", buffering=0) as file:
        text = file.read(1000)
        if words[0] in COMMANDS[:2] and (b"PRIVATE KEY" in text or b"PuTTY-User-Key" in text):
            hint = "give the public one, a .pub file"
            raise PikuError(f"{named[-1]} is a private key: it stays here", hint=hint)
        file.seek(0)
        os.dup2(file.fileno(), 0)
    return ["-" if word == named[-1] else word for word in words]
