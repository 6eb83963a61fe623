"""`download` and `upload`: files of an app, by scp."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from piku import files as files_module
from piku import subprocesses
from piku.client import spawn, ssh
from piku.client.address import Target
from piku.errors import PikuError

_SPECIAL = re.compile(r"[\s'\"\\$`&;|<>(){}!#]")


def download(target: Target, path: str, place: str) -> int:
    """Fetch a file or folder; returns scp's exit code, or raises PikuError for one of ssh's troubles."""
    way = _way()
    return _scp(target, way, [_there(target, path, way), _here(place)])


def upload(target: Target, files: Sequence[str], path: str) -> int:
    """Send files or folders; returns the same."""
    for file in files:
        if not os.path.lexists(file):
            raise PikuError(f"there is no file {file}")
    way = _way()
    return _scp(target, way, [*map(_here, files), _there(target, path, way)])


def _way() -> list[str]:
    """How scp is told to copy by SFTP, as it does by itself since OpenSSH 9; nothing for one that cannot.
    Called without words, it says which options it knows."""
    usage = subprocesses.run(["scp"], env=os.environ, check=False, merged=True)
    return ["-s"] if re.search(r"\[-\w*s", usage) else []


def _there(target: Target, path: str, way: Sequence[str]) -> str:
    """A path on the server, as scp takes it: below the app's data, or with a "/" before it below the piku root."""
    address = target.address
    if not way:
        # The server splits it as a shell would; scp compares what comes, and knows "\\" but no quotes.
        path = _SPECIAL.sub(r"\\\g<0>", path)
    host = f"[{address.host}]" if ":" in address.host else address.host
    login = f"{address.user}@{host}" if address.user else host
    if path.startswith("/"):
        return f"{login}:{path.lstrip('/')}"
    if not target.app:
        raise PikuError(
            "which app is meant?",
            hint="say it: piku --app APP …, or begin the path with '/'",
            code=2,
        )
    return f"{login}:data/{target.app}/{path}".removesuffix("/.").rstrip("/")


def _here(path: str) -> str:
    """A path on this machine, which scp cannot take for an option or a server."""
    return path if path.startswith(("/", ".")) else f"./{path}"


def _scp(target: Target, way: Sequence[str], paths: Sequence[str]) -> int:
    port = ["-P", target.address.port] if target.address.port else []
    with tempfile.TemporaryDirectory(prefix="piku-") as folder:
        said = Path(folder, "said")
        program = Path(folder, "ssh")
        # scp takes one program and no options for it: this one has those that git's configuration says,
        # and keeps what ssh has to say for us.
        files_module.write(program, _script(target.ssh, said), mode=0o700)
        code = spawn.attached(["scp", *way, "-r", "-p", "-S", str(program), *port, "--", *paths])
        if code:
            ssh.judge(target, ssh.FAILED, files_module.read(said))
        return code


def _script(words: Sequence[str], said: Path) -> str:
    import shlex

    return f'#!/bin/sh\n{shlex.join(words)} -E {shlex.quote(str(said))} "$@"\n'
