"""Keys and certificates that a command takes as files, though it runs as another user or elsewhere.

Their text goes to it on standard input. No other word of a command is read as a file's name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

from piku.errors import PikuError

COMMANDS = ("setup:ssh", "certs:add")
_MAX = 1 << 20  # bytes


def replaced(words: Sequence[str], app: str) -> list[str]:
    """The command with "-" for each file that it names; they are our standard input now."""
    named = [
        word
        for before, word in pairwise(words)
        if words[0] in COMMANDS and before != "--name" and word != app and os.path.isfile(word)
    ]
    if not named:
        return list(words)
    text = "\n".join(map(_read, named))
    if "-" in words:
        text += "\n" + sys.stdin.read(_MAX)
    if words[0] == "setup:ssh" and ("PRIVATE KEY" in text or "Private-Lines:" in text):
        hint = "give the public one, a .pub file"
        raise PikuError(f"{named[0]} is a private key: it stays here", hint=hint)
    feed(text)
    return ["-" if word in named else word for word in words]


def feed(text: str) -> None:
    """Make the text our standard input, and that of the program that takes our place."""
    import tempfile  # it takes long to load, and every call of a client loads this module

    with tempfile.TemporaryFile() as file:
        file.write(text.encode(errors="surrogateescape"))
        file.seek(0)
        os.dup2(file.fileno(), 0)


def _read(name: str) -> str:
    if os.path.getsize(name) > _MAX:
        raise PikuError(f"{name} is larger than {_MAX >> 20} MiB: not a key or certificate")
    with open(name, errors="surrogateescape") as file:
        return file.read()
