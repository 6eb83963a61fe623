"""Commands that the owner of a laptop adds: executables in ~/.piku/client-plugins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from piku.client import entry, known
from piku.client.address import Target

_DAY = 86400.0


def run(target: Target, words: Sequence[str]) -> None:
    """Become the plugin that the first word names; return when the word is a command of piku's or of the
    server's, which win."""
    command = words[0]
    if command in known.here()["commands"] or command in known.of(target, age=_DAY).get(
        "commands", {}
    ):
        return
    from piku import subprocesses

    variables = {
        "PIKU_SERVER": target.address.server, "PIKU_APP": target.app, "PIKU_REMOTE": target.remote,
    }  # fmt: skip
    subprocesses.exec_program([entry.plugin(command), *words[1:]], env={**os.environ, **variables})


def names() -> list[str]:
    """What there is, sorted."""
    folder = Path(entry.plugin("."))
    try:
        return sorted(
            file.name for file in folder.iterdir() if file.is_file() and os.access(file, os.X_OK)
        )
    except OSError:
        return []
