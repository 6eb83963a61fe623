"""Where backups are kept: a folder here, one on another machine over ssh, or a remote of rclone."""

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from piku import subprocesses
from piku.errors import PikuError
from piku.paths import AppName, AppPaths

_SSH = re.compile(
    r"(?P<host>ssh://[\w.@:\[\]-]+(?=/)|[\w][\w.@-]*(?=:)):?(?P<folder>[^:-][^:]*)", re.ASCII
)


# A backup has secrets: nobody else may read it, whatever folder it is in.
_STORE = 'umask 077; exec dd of="$1" bs=1M conv=fsync status=none'


@dataclass(frozen=True, kw_only=True)
class Target:
    """`folder` is on `host`, as ssh calls it, on this machine, or a path of rclone's."""

    folder: str
    host: str = ""
    rclone: bool = False

    def argv(self, *words: str) -> list[str]:
        """A program where the folder is."""
        if not self.host:
            return list(words)
        options = ("-o", "BatchMode=yes", "-o", "ServerAliveInterval=15")
        return ["ssh", *options, self.host, shlex.join(words)]

    def place(self, name: str) -> str:
        """The path of a file in it."""
        return f"{self.folder}{'' if self.folder.endswith((':', '/')) else '/'}{name}"

    def store(self, place: str) -> list[str]:
        """What writes its standard input there."""
        if self.rclone:
            return ["rclone", "rcat", place]
        return self.argv("sh", "-c", _STORE, "sh", place)

    def move(self, place: str, new: str) -> list[str]:
        return ["rclone", "moveto", place, new] if self.rclone else self.argv("mv", place, new)

    def listing(self) -> list[str]:
        return ["rclone", "lsf", self.folder] if self.rclone else self.argv("ls", "-A", self.folder)

    def remove(self, place: str) -> list[str]:
        return ["rclone", "deletefile", place] if self.rclone else self.argv("rm", "-f", place)


def parse(text: str) -> Target:
    """DIR, USER@HOST:DIR, ssh://USER@HOST:PORT/DIR or rclone:REMOTE:PATH; raises PikuError."""
    if text.startswith("/") and "\n" not in text:
        return Target(folder=text)
    if text.startswith("rclone:") and ":" in text[7:] and not text[7:].startswith("-"):
        return Target(folder=text[7:], rclone=True)
    found = _SSH.fullmatch(text)
    if found is None or found["host"] == "rclone":
        hint = "/folder, user@host:folder, ssh://user@host:port/folder or rclone:remote:path"
        raise PikuError(f"{text[:80]!r} is no place for backups", hint=hint, code=2)
    return Target(folder=found["folder"], host=found["host"])


def own(app: AppPaths) -> Target:
    """Where backups go when nobody says where: beside everything else of this server."""
    return Target(folder=str(app.root / "backups" / app.name))


def encryption(recipient: str) -> list[str]:
    """The program that encrypts to a recipient."""
    if recipient.startswith(("age1", "ssh-")):
        return ["age", "--recipient", recipient]
    return ["gpg", "--batch", "--trust-model", "always", "--encrypt", "--recipient", recipient]


def check_recipient(recipient: str) -> None:
    """Raise PikuError unless something can be encrypted to it here."""
    program = encryption(recipient)[0]
    if subprocesses.which(program) is None:
        package = {"gpg": "gnupg"}.get(program, program)
        raise PikuError(f"{program} is not installed", hint=f"apt-get install {package}")
    with open(os.devnull, "wb") as null:
        said = subprocess.run(
            encryption(recipient), input=b"x", stdout=null, stderr=subprocess.PIPE, check=False
        )
    if said.returncode:
        lines = tuple(said.stderr.decode(errors="replace").splitlines())
        hint = "a public key of age (age1…) or SSH, or a key that the piku user's gpg has"
        raise PikuError(f"cannot encrypt to {recipient[:80]!r}", hint=hint, detail=lines)


def store(app: AppPaths, target: Target, recipient: str, backup: Sequence[str]) -> str:
    """Keep there what `backup` writes; returns where it is. One that was cut off has another name,
    and is removed with old ones."""
    compressed = "zst" if subprocesses.which("zstd") else "gz"
    encrypt = encryption(recipient) if recipient else []
    ending = f"{compressed}.{encrypt[0]}" if encrypt else compressed
    name = f"{app.name}-{time.strftime('%Y%m%d-%H%M%S')}.tar.{ending}"
    if not target.rclone:
        _through([target.argv("mkdir", "-p", "-m", "700", target.folder)])
    place = target.place(name)
    programs = [backup, encrypt, target.store(f"{place}.part")]
    _through([argv for argv in programs if argv])
    _through([target.move(f"{place}.part", place)])
    return place


def prune(app: AppPaths, target: Target, keep: int) -> None:
    """Remove all backups but the last `keep`, if that is not 0."""
    for old in superseded(app.name, subprocesses.run(target.listing()).splitlines(), keep):
        _through([target.remove(target.place(old))])


def _through(programs: Sequence[Sequence[str]]) -> None:
    """Run programs, each of which reads what the one before writes; raises PikuError with what the
    last that failed said: those before it fail because of it."""
    for program in (argv[0] for argv in programs):
        if subprocesses.which(program) is None:
            raise PikuError(f"{program} is not installed", hint=f"apt-get install {program}")
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in programs]
        running: list[subprocess.Popen[bytes]] = []
        source: IO[bytes] | int = subprocess.DEVNULL
        for argv, errors in zip(programs, said, strict=True):
            process = subprocess.Popen(
                argv, stdin=source, stderr=errors, env=subprocesses.environment(),
                stdout=subprocess.DEVNULL if argv is programs[-1] else subprocess.PIPE,
            )  # fmt: skip
            running.append(process)
            if not isinstance(source, int):
                source.close()
            source = process.stdout or subprocess.DEVNULL
        failed = [number for number, process in enumerate(running) if process.wait()]
        if failed:
            said[failed[-1]].seek(0)
            lines = said[failed[-1]].read().decode(errors="replace").splitlines()
            ours = [line.removeprefix(" ! ").strip() for line in lines if line.startswith(" !")]
            what = f"{programs[failed[-1]][0]} failed"
            raise PikuError(next(iter(ours or lines), what), detail=tuple(lines))


def superseded(app: AppName, names: Sequence[str], keep: int) -> Iterator[str]:
    """Of these names the app's backups before the last `keep`, and those that were cut off."""
    mine = re.compile(rf"{re.escape(app)}-[0-9]{{8}}-[0-9]{{6}}\.tar(\.[a-z]+)+")
    found = sorted(name for name in names if mine.fullmatch(name))
    yield from (name for name in found if name.endswith(".part"))
    whole = [name for name in found if not name.endswith(".part")]
    yield from whole[:-keep] if keep else ()
