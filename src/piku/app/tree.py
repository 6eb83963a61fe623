"""A commit's files as git lists them: what is in a release before anything is checked out."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError

_MOST = 5 << 20  # bytes of a file that says how to build or run; reading takes several times that


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files of a commit: each path with the id of its content (a submodule's: its commit; that
    of a link: what the file has to which it leads).

    Paths are relative to the app's folder, so those of files outside of it begin with "../".
    `read` returns the text of a file, nothing when there is none.
    """

    files: Mapping[str, str]
    read: Callable[[str], str]
    modes: Mapping[str, str] = field(default_factory=dict)  # as git writes them: "100755"
    folder: str = ""  # the app's: PIKU_APP_DIR

    def above(self, *names: str) -> list[str]:
        """The files of these names in the app's folder and in those above it, nearest first."""
        ups = range(len(Path(self.folder).parts) + 1)
        return [path for up in ups for name in names if (path := "../" * up + name) in self.files]

    def seen_from(self, folder: str) -> Tree:
        """The same files, with paths relative to this folder."""
        if not folder:
            return self
        places = {posixpath.relpath(f"/{path}", f"/{folder}"): path for path in self.files}
        return Tree(
            files={path: self.files[place] for path, place in places.items()},
            read=lambda path: self.read(places.get(path, "")),
            modes={path: self.modes[place] for path, place in places.items()},
            folder=folder,
        )


EMPTY = Tree(files={}, read=str)


@functools.lru_cache(8)
def of_commit(repository: Path, commit: str) -> Tree:
    """The tree of a commit, named by its hash, in a bare repository."""
    git = ["git", "-C", str(repository)]
    listing = subprocesses.run([*git, "ls-tree", "-r", "-l", "-z", commit])
    files, modes, sizes = {}, {}, {}
    for head, _, path in (entry.partition("\t") for entry in listing.split("\0") if entry):
        modes[path], _, files[path], sizes[path] = head.split()
    for path, content, size in _linked(git, commit, modes):
        files[path], sizes[path] = content, size

    @functools.cache
    def read(path: str) -> str:
        if path not in files:
            return ""
        if int(sizes[path].replace("-", "0")) > _MOST:  # a submodule has none
            what = f"{path} has {int(sizes[path]) / 2**20:.0f} MB"
            raise PikuError(f"{what}, and piku reads no file of more than {_MOST >> 20} MB")
        return subprocesses.run([*git, "cat-file", "blob", files[path]])

    return Tree(files=files, read=read, modes=modes)


def _linked(
    git: Sequence[str], commit: str, modes: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """The links that lead to a file of the same commit, each with the id of its content and its
    size (git-cat-file(1), --follow-symlinks)."""
    links = [path for path, mode in modes.items() if mode == "120000" and "\n" not in path]
    asked = "".join(f"{commit}:{path}\n" for path in links)
    follow = ("cat-file", "--batch-check", "--follow-symlinks")
    told = subprocesses.run([*git, *follow], stdin=asked) if links else ""
    left = told.encode(errors="surrogateescape")
    for path in links:
        head, _, left = left.partition(b"\n")
        words = head.decode().split(" ")
        if words[0] in ("symlink", "dangling", "loop", "notdir"):
            left = left[int(words[1]) + 1 :]  # where it leads to, which is no file of the commit
        elif words[1] == "blob":
            yield path, words[0], words[2]
