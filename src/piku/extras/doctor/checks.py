"""`piku doctor`: what is wrong with the server or an app, and the one thing to do about each fault.

Every check stands by itself: it looks, and yields what it found. None changes anything. One that breaks
is told of, and stops no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from piku.errors import PikuError
from piku.extras.doctor.findings import OK, PROBLEM, WARNING, Finding, problem
from piku.extras.doctor.scene import Scene

__all__ = ["OK", "PROBLEM", "WARNING", "Finding", "Report", "Scene", "examine"]

Check = Callable[[Scene], Iterable[Finding]]
_ORDER = {PROBLEM: 0, WARNING: 1, OK: 2}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What all checks found, the worst first, and how many seconds they took."""

    findings: tuple[Finding, ...]
    checks: int
    seconds: float

    def count(self, severity: str) -> int:
        return sum(1 for finding in self.findings if finding.severity == severity)


def of_server() -> dict[str, Check]:
    """The checks of a whole server."""
    from piku.extras.doctor import (
        access,
        apps,
        certificates,
        files,
        leftovers,
        machine,
        names,
        services,
    )

    return {
        **of_platform(),
        "units": services.units,
        "keys": access.keys,
        "disk": machine.disk,
        "memory": machine.memory,
        "load": machine.load,
        "clock": machine.clock,
        "ownership": files.ownership,
        "secrets": files.secrets,
        "releases": apps.failed_releases,
        "processes": apps.processes,
        "jobs": apps.jobs,
        "static": apps.static,
        "maintenance": apps.maintenance,
        "names": names.names,
        "certificates": certificates.certificates,
        "leftovers": leftovers.leftovers,
    }


def of_app() -> dict[str, Check]:
    """The checks of one app, and of what it needs of the server."""
    from piku.extras.doctor import apps, outside

    # What asking the app tells as well, and what concerns others.
    unneeded = ("keys", "load", "clock", "ownership", "secrets", "maintenance")
    server = {name: check for name, check in of_server().items() if name not in unneeded}
    return {**server, "state": apps.state, "outside": outside.outside}


def of_platform() -> dict[str, Check]:
    """What tells whether this piku works here at all: enough to judge a new version."""
    from piku.extras.doctor import files, ports, services, software

    return {
        "programs": software.needed,
        "folders": files.folders,
        "platform": services.platform,
        "configuration": services.configuration,
        "ports": ports.ports,
    }


def examine(scene: Scene, checks: dict[str, Check]) -> Report:
    """Make these checks, one after the other."""
    begun = time.monotonic()
    # What keeps several checks from looking is one fault, told once.
    found: dict[tuple[str, str], Finding] = {}
    for name, check in checks.items():
        for finding in _of(name, check, scene):
            found.setdefault((finding.app, finding.what), finding)
    ordered = sorted(found.values(), key=lambda finding: _ORDER[finding.severity])
    return Report(findings=tuple(ordered), checks=len(checks), seconds=time.monotonic() - begun)


def _of(name: str, check: Check, scene: Scene) -> Iterator[Finding]:
    try:
        for finding in check(scene):
            yield replace(finding, check=name)
    except PikuError as error:
        yield replace(problem(error.message, error.hint), check=name)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with one check, the others are wanted)
        what = f"this could not be checked: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        fix = (
            "mend what it names"
            if isinstance(error, OSError)
            else "report it: it is a fault of piku's"
        )
        yield replace(problem(what, fix), check=name)
