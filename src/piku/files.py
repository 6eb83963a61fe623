"""The one place that writes files."""

import codecs
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from piku import procfs
from piku.errors import PikuError

_TEMPORARY = re.compile(r"\.(\d+)(\.\w{8})?\.tmp$")


def read(path: Path) -> str:
    """The file's text, or nothing when there is no such file; raises PikuError when it cannot be
    read."""
    try:
        return decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return ""
    except OSError as error:
        raise damaged(path, f"cannot be read: {error.strerror}") from None


def inside(folder: Path, path: str) -> Path | None:
    """What a path in this folder leads to, or None when that is outside of it."""
    found = Path(os.path.realpath(folder / path))
    return found if found.is_relative_to(folder.resolve()) else None


def damaged(path: Path, how: str = "is damaged") -> PikuError:
    """The error of a file that is not what piku wrote."""
    return PikuError(f"{path} {how}", hint="restore it from a backup, or move it away")


def decode(content: bytes) -> str:
    """Text as any editor writes it: also with a byte order mark, in UTF-16, or with the line ends
    of Windows."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = content.decode("utf-8-sig", errors="surrogateescape")
    return text.replace("\r\n", "\n")


def write(path: Path, text: str, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replace the file in one step: readers see the old text or the new, never a part.

    `durable` also waits until the disk has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=prefix(path.name), suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        _put(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    if durable:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def peek(path: Path) -> str | None:
    """The file's text; None when it cannot be read, as what piku writes anew need not be."""
    with contextlib.suppress(PikuError):
        return read(path)
    return None


def _put(temporary: str, place: Path) -> None:
    """Rename to `place`, moving aside a folder that somebody put there."""
    try:
        os.replace(temporary, place)
    except IsADirectoryError:
        os.rename(place, tempfile.mkdtemp(prefix=f"{place.name}.aside.", dir=place.parent))
        os.replace(temporary, place)


def link(target: Path | str, place: Path) -> None:
    """Make `place` a symbolic link to `target`, replacing in one step what was there. It needs no
    room on the disk but a name, so that what was stopped can be started when the disk is full."""
    if place.is_symlink() and os.readlink(place) == str(target):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f"{prefix('link')}tmp")
    temporary.unlink(missing_ok=True)  # left by a killed process that had our number
    temporary.symlink_to(target)
    _put(str(temporary), place)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; a missing one is fine. Raises OSError if it is still
    there, and PikuError if a folder was renamed but could not be emptied."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    # Renamed first: what is killed half way leaves no folder that looks whole.
    doomed = path if path.name.endswith(".tmp") else path.with_name(f"{prefix(path.name)}tmp")
    path.rename(doomed)
    try:
        shutil.rmtree(doomed)
    except (OSError, RecursionError):
        # Go's module cache and some packages make their folders read-only; and Python's way down
        # ends after 1,000 folders.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf", "--one-file-system"]):
            subprocess.run([*command, doomed], check=False, capture_output=True)
        if doomed.exists():
            hint = f"remove it as root: rm -rf {shlex.quote(str(doomed))}"
            raise PikuError(f"{path.name} cannot be removed", hint=hint) from None


def discard(places: Iterable[Path], warn: Callable[[str], None] = lambda _: None) -> None:
    """Remove what nobody needs any more. What cannot be removed is warned of, in one line."""
    left = []
    for place in places:
        try:
            remove(place)
        except OSError as error:
            left.append(f"{place} cannot be removed: {error.strerror}")
        except PikuError as error:
            left.append(f"{error.message}: {error.hint}")
    if left:
        warn(f"{left[0]} (and {len(left) - 1} more)" if left[1:] else left[0])


# --- temporary files -----------------------------------------------------------------------------


def prefix(name: str) -> str:
    """How a temporary name begins: with a dot, and whose it is. It ends with ".tmp", which neither
    the emperor nor nginx includes."""
    return f".{name[:40]}.{os.getpid()}."


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[str]:
    """A new folder, which is gone when the block ends."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=prefix(name), suffix=".tmp", dir=parent)
    try:
        yield folder
    finally:
        discard([Path(folder)])


def sweep(*folders: Path, name: str = "*") -> None:
    """Remove the temporary files and folders of this name that killed processes left in these
    folders. One into which a program of theirs still writes is left to the next time."""
    for path in (path for folder in folders for path in folder.glob(f".{name}.*.tmp")):
        found = _TEMPORARY.search(path.name)
        if found and not procfs.is_running(int(found[1])):
            discard([path])


# --- waiting -------------------------------------------------------------------------------------


@contextlib.contextmanager
def syncing(folder: Path) -> Iterator[None]:
    """When the block ends, the disk has what was written to this folder's file system before it
    began (sync(1))."""
    with subprocess.Popen(["sync", "--file-system", str(folder)]) as process:
        yield
    if process.returncode:
        raise PikuError(f"the disk of {folder} cannot be written to")


def poll(deadline: float, *, first: float = 0.002, most: float = 0.05) -> Iterator[None]:
    """Yield at growing intervals until `deadline` (time.monotonic), for what no event announces."""
    pause = first
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.3, most)
