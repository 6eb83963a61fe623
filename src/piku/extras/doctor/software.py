"""The programs that piku runs, and their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

import piku
from piku import subprocesses
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.nginx import service
from piku.runtimes.python import PLUGINS

# Debian's packages of the programs that everything needs.
_NEEDED = {
    "nginx": "nginx", "uwsgi": "uwsgi-core", "git": "git", "openssl": "openssl", "ssh-keygen": "openssh-client",
    "bash": "bash", "perl": "perl-base", "setpriv": "util-linux",
}  # fmt: skip
# The oldest that piku is made for: those of Debian 11.
_OLDEST = {"nginx": (1, 18), "uwsgi": (2, 0, 18), "git": (2, 30)}


def needed(scene: Scene) -> Iterator[Finding]:
    """Programs that are missing or too old."""
    missing = {
        program: package
        for program, package in _NEEDED.items()
        if subprocesses.which(program) is None
    }
    for program, package in missing.items():
        yield problem(f"{program} is not installed", f"sudo apt-get install {package}")
    yield ok(f"piku {piku.__version__}")
    for program, oldest in _OLDEST.items():
        if program not in missing:
            yield _judged(program, _version(program), oldest)
    if "uwsgi" not in missing:
        yield from _plugins(scene)


def _version(program: str) -> tuple[int, ...]:
    if program == "nginx":
        return service.build("nginx")[0]
    found = re.search(
        r"[0-9]+(?:\.[0-9]+)+", subprocesses.run([program, "--version"], check=False, merged=True)
    )
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _judged(program: str, version: tuple[int, ...], oldest: tuple[int, ...]) -> Finding:
    said = ".".join(map(str, version)) or "of an unknown version"
    if version < oldest:
        wanted = ".".join(map(str, oldest))
        return warning(
            f"{program} is {said}, and piku is made for {wanted} and later",
            f"sudo apt-get install --only-upgrade {_NEEDED[program]}",
        )
    return ok(f"{program} {said}")


def _plugins(scene: Scene) -> Iterator[Finding]:
    if any(PLUGINS.glob("python3*_plugin.so")):
        return
    served = [
        name for name, live in scene.live.items() if any(p.kind == "wsgi" for p in live.processes)
    ]
    fix = "sudo apt-get install uwsgi-plugin-python3"
    if served:
        yield problem(f"uWSGI lacks its plugin for Python, which {', '.join(served)} needs", fix)
    else:
        yield warning("uWSGI lacks its plugin for Python: no wsgi app can be deployed", fix)
