"""What the checks look at, and what they report."""

import os
import pwd
import re
from dataclasses import dataclass
from functools import cached_property

from piku import subprocesses
from piku.deploy import releases
from piku.nginx.site import Site
from piku.operate import ps
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

OK, WARNING, PROBLEM = "ok", "warning", "problem"
UNITS = ("piku-nginx", "piku-emperor")
_LISTENER = re.compile(r"LISTEN +\d+ +\d+ +(\S+):(\d+) (.*)")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`what` is one line, `fix` the one command or change that resolves it, `detail` evidence, such
    as a program's last lines.

    A problem affects visitors or the next deploy now; a warning may do so later.
    """

    severity: str
    what: str
    fix: str = ""
    detail: tuple[str, ...] = ()
    app: str = ""
    check: str = ""


def ok(what: str) -> Finding:
    return Finding(severity=OK, what=what)


def warning(what: str, fix: str, *detail: str) -> Finding:
    return Finding(severity=WARNING, what=what, fix=fix, detail=detail)


def problem(what: str, fix: str, *detail: str) -> Finding:
    return Finding(severity=PROBLEM, what=what, fix=fix, detail=detail)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A listening TCP socket. Without root, `ss` names the programs of our own user only."""

    address: str
    port: int
    uid: int
    program: str = ""
    pid: int = 0


@dataclass(frozen=True, kw_only=True)
class Context:
    """The server as it is now, and what to request from an app that is asked."""

    paths: Paths
    url: str = "/"

    @cached_property
    def states(self) -> ps.States | None:
        """The vassals; None is unknown: the emperor did not answer."""
        return emperor.observe(self.paths)

    def site(self, app: AppPaths) -> Site | None:
        """What nginx serves of an app."""
        live = releases.live(app)
        return live.site if live else None

    @cached_property
    def listeners(self) -> list[Listener]:
        return parse_ss(subprocesses.run(["ss", "-Hltnpe"]))

    @cached_property
    def units(self) -> dict[str, dict[str, str]]:
        """The units of this root, with what systemd says of them; none where it runs none."""
        if self.paths.root != self.paths.home / ".piku" or not subprocesses.which("systemctl"):
            return {}
        show = ["systemctl", "show", "-p", "Id,User,ActiveState,Result,UnitFileState"]
        found = parse_units(subprocesses.run([*show, *UNITS], check=False))
        return {name: unit for name, unit in found.items() if unit.get("User") == own_user()}

    def restart(self, *units: str) -> str:
        """The command that starts the platform again, or these units of it."""
        if self.units:
            return f"sudo systemctl restart {' '.join(units or UNITS)}"
        return "end `piku up` if it runs, and start it again: piku up" if units else "piku up"


def own_user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def parse_ss(text: str) -> list[Listener]:
    """The listeners in the output of `ss -Hltnpe`, which leaves out the uid of root."""
    found = []
    for address, port, rest in _LISTENER.findall(text):
        program = re.search(r'users:\(\("([^"]*)",pid=(\d+)', rest) or ("", "", 0)
        uid = int((re.search(r" uid:(\d+)", rest) or (0, 0))[1])
        name, pid = program[1], int(program[2])
        found.append(Listener(address=address, port=int(port), uid=uid, program=name, pid=pid))
    return found


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """The units in the output of `systemctl show`, without ".service"."""
    found = {}
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines())
        found[fields.get("Id", "").removesuffix(".service")] = fields
    return found
