"""A key or certificate that a command takes as a file, though it runs as another user or elsewhere.

The file becomes its standard input. No other word of a command is read as a file's name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from piku.errors import PikuError

COMMANDS = ("setup:ssh", "certs:add")


def replaced(words: Sequence[str], app: str) -> list[str]:
    """The command with "-" for the file that it names, which is our standard input now."""
    named = [
        word
        for before, word in pairwise(words)
        if words[0] in COMMANDS and before != "--name" and word != app and os.path.isfile(word)
    ]
    if not named:
        return list(words)
    text = Path(named[-1]).read_text(errors="surrogateescape")
    if words[0] == "setup:ssh" and ("PRIVATE KEY" in text or "Private-Lines:" in text):
        hint = "give the public one, a .pub file"
        raise PikuError(f"{named[-1]} is a private key: it stays here", hint=hint)
    feed(text)
    return ["-" if word == named[-1] else word for word in words]


def feed(text: str) -> None:
    """Make the text our standard input, and that of the program that takes our place."""
    import tempfile  # it takes long to load, and every call of a client loads this module

    with tempfile.TemporaryFile() as file:
        file.write(text.encode(errors="surrogateescape"))
        file.seek(0)
        os.dup2(file.fileno(), 0)
