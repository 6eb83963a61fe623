"""A commit's files as git lists them: what is in a release before anything is checked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError

MAX_TEXT = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files of a commit: each path with the id of its content (a submodule's: its commit)."""

    files: Mapping[str, str]
    read: Callable[[str], str]

    def digest(self, path: str) -> str:
        """What changes when the file does; empty when there is no such file."""
        return self.files.get(path, "")

    @property
    def top(self) -> frozenset[str]:
        """The names in the top folder."""
        return frozenset(path.partition("/")[0] for path in self.files)


def of_commit(repository: Path, commit: str) -> Tree:
    """The tree of a commit in a bare repository."""
    listing = subprocesses.run(["git", "-C", str(repository), "ls-tree", "-r", "-z", commit])
    entries = (entry.partition("\t") for entry in listing.split("\0") if entry)
    files = {path: head.split()[2] for head, _, path in entries}

    def read(path: str) -> str:
        if path not in files:
            return ""
        text = subprocesses.run(["git", "-C", str(repository), "cat-file", "blob", files[path]])
        if len(text) > MAX_TEXT:
            raise PikuError(f"{path} is larger than {MAX_TEXT // 1024} kB")
        return text

    return Tree(files=files, read=read)
