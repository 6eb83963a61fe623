"""The old scp protocol: checks what a client asked of `scp` before the real program runs."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from piku.errors import PikuError
from piku.ssh.confine import confine

_FLAGS = "rpdvqtf"
_HINT = "use scp without -O, or sftp: they check every file on its own"


def scp_argv(command: Sequence[str], root: Path) -> list[str]:
    """The argv to run for a client's `scp -t PATH` or `scp -f PATH…`, every path absolute and in `root`.

    `command` is the client's command, already split. Reads the file system and changes nothing. Raises
    PikuError (code 2) for anything but the flags that clients send, and for paths outside the root.
    """
    flags, paths = _parse(command)
    if ("t" in flags) == ("f" in flags):
        raise PikuError("scp needs exactly one of -t and -f", code=2)
    if not paths or ("t" in flags and len(paths) > 1):
        raise PikuError(f"scp -{'t' if 't' in flags else 'f'} was given {len(paths)} paths", code=2)
    texts = [_at_home(path) for path in paths]
    if "t" in flags:
        given = [_sink(root, texts[0], deep="r" in flags)]
    else:
        given = [source for text in texts for source in _sources(root, text, deep="r" in flags)]
    return ["scp", *(f"-{flag}" for flag in flags), "--", *given]


def _parse(command: Sequence[str]) -> tuple[list[str], list[str]]:
    """The single-letter flags, each once and in order, and the paths after them."""
    if not command or command[0] != "scp":
        raise PikuError(f"{command[0] if command else ''!r} is not scp", code=2)
    flags: dict[str, None] = {}
    rest = list(command[1:])
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        if word == "-" or not set(word[1:]) <= set(_FLAGS):
            raise PikuError(f"scp {word!r} is not allowed here", code=2)
        flags.update(dict.fromkeys(word[1:]))
    return list(flags), rest


def _at_home(text: str) -> str:
    """`text` without the `~` a login shell would expand: a client's home is the piku root, as in SFTP."""
    if text == "~" or text.startswith("~/"):
        return text[1:].lstrip("/") or "."
    return text


def _sink(root: Path, text: str, *, deep: bool) -> str:
    """Where uploads go. A trailing slash stays: with it scp fails rather than make a file of that name."""
    path = confine(root, text)
    _refuse_ways_out(root, path, deep=deep)
    return f"{path}/" if text.endswith("/") else str(path)


def _sources(root: Path, text: str, *, deep: bool) -> list[str]:
    """What to send. The remote shell would expand `*` and `?`; no match leaves the pattern for scp to report.

    The last part stays as named, even if it is a link: clients refuse an answer under another name.
    """
    confine(root, text)
    matches = [text]
    if "*" in text or "?" in text:
        pattern = text.replace("[", "[[]")
        if not text.startswith("/"):
            pattern = f"{glob.escape(str(root.resolve()))}/{pattern}"
        # Not Path.glob: it takes no absolute pattern, and dot files for a "*".
        matches = sorted(glob.glob(pattern)) or matches
    for match in matches:
        path = confine(root, match)
        if deep:
            _refuse_ways_out(root, path, deep=True)
    return [str(confine(root, match.rstrip("/") or match, follow=False)) for match in matches]


def _refuse_ways_out(root: Path, folder: Path, *, deep: bool) -> None:
    """Refuse a folder holding a link out of the root: scp would follow it, and asks nobody first.

    With `deep` the folders below count too, and those that links inside the root lead to.
    """
    pending, seen = [folder], set[Path]()
    while pending:
        here = pending.pop()
        if here in seen:
            continue
        seen.add(here)
        try:
            entries = list(os.scandir(here))
        except OSError:  # not a folder, or closed to scp as well
            continue
        for entry in entries:
            path = _link(root, entry) if entry.is_symlink() else Path(entry.path)
            if deep and entry.is_dir():
                pending.append(path)


def _link(root: Path, entry: os.DirEntry[str]) -> Path:
    """Where a link leads, inside the root."""
    try:
        return confine(root, entry.path)
    except PikuError as error:
        raise PikuError(
            f"scp could leave the root through {entry.path!r}", hint=_HINT, code=2
        ) from error
