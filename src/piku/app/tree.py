"""A commit's files as git lists them: what is in a release before anything is checked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from piku import subprocesses


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files of a commit: each path with the id of its content (a submodule's: its commit).

    `read` returns the text of a file, nothing when there is none.
    """

    files: Mapping[str, str]
    read: Callable[[str], str]


def of_commit(repository: Path, commit: str) -> Tree:
    """The tree of a commit in a bare repository."""
    git = ["git", "-C", str(repository)]
    listing = subprocesses.run([*git, "ls-tree", "-r", "-z", commit])
    entries = (entry.partition("\t") for entry in listing.split("\0") if entry)
    files = {path: head.split()[2] for head, _, path in entries}

    def read(path: str) -> str:
        return subprocesses.run([*git, "cat-file", "blob", files[path]]) if path in files else ""

    return Tree(files=files, read=read)
