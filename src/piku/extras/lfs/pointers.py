"""The files of Git LFS in a repository: small texts, each of which names a content by its hash."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piku import subprocesses

_SIZES = range(120, 1024)  # of a pointer, in bytes: none is smaller, and git-lfs reads none larger
_BLOB = re.compile(
    r"^(?P<id>[0-9a-f]{40,64}) blob (?P<length>[0-9]+)\n"
    r"(?P<text>version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]+\n)*"
    r"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>[0-9]{1,18})\n)$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """The content that a file stands for."""

    oid: str
    size: int


@functools.cache
def of_commit(repository: Path, commit: str) -> dict[str, Pointer]:
    """The pointers in a commit, by path."""
    listing = _git(repository, "ls-tree", "-r", "-l", "-z", commit)
    paths: dict[str, str] = {}
    for head, _, path in (entry.partition("\t") for entry in listing.split("\0") if entry):
        mode, _, blob, size = head.split()
        if mode.startswith("100") and int(size) in _SIZES:
            paths[path] = blob
    found = _of_blobs(repository, set(paths.values()))
    return {path: found[blob] for path, blob in paths.items() if blob in found}


def of_history(repository: Path) -> set[Pointer]:
    """The pointers in every commit that a branch, a tag or a kept release leads to."""
    objects = _git(repository, "rev-list", "--objects", "--no-object-names", "--all")
    form = "--batch-check=%(objecttype) %(objectsize) %(objectname)"
    kinds = _git(repository, "cat-file", form, "--buffer", stdin=objects)
    rows = (line.split() for line in kinds.splitlines())
    blobs = (blob for kind, size, blob in rows if kind == "blob" and int(size) in _SIZES)
    return set(_of_blobs(repository, blobs).values())


def _of_blobs(repository: Path, blobs: Iterable[str]) -> dict[str, Pointer]:
    """Those of these objects that are pointers."""
    asked = "".join(f"{blob}\n" for blob in blobs)
    texts = _git(repository, "cat-file", "--batch", "--buffer", stdin=asked) if asked else ""
    return {
        found["id"]: Pointer(oid=found["oid"], size=int(found["size"]))
        for found in _BLOB.finditer(texts)
        if len(found["text"]) == int(found["length"])
    }


def _git(repository: Path, *words: str, stdin: str | None = None) -> str:
    return subprocesses.run(["git", "-C", str(repository), *words], stdin=stdin)
