"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a check has seen: `what` in one line, and the one command or setting that mends it.

    A problem keeps somebody from being served now, a warning may do so later. `detail` is evidence, such
    as a program's last lines.
    """

    severity: str
    what: str
    fix: str = ""
    app: str = ""
    detail: tuple[str, ...] = ()
    check: str = ""


def ok(what: str, *, app: str = "") -> Finding:
    return Finding(severity=OK, what=what, app=app)


def warning(what: str, fix: str, *, app: str = "", detail: tuple[str, ...] = ()) -> Finding:
    return Finding(severity=WARNING, what=what, fix=fix, app=app, detail=detail)


def problem(what: str, fix: str, *, app: str = "", detail: tuple[str, ...] = ()) -> Finding:
    return Finding(severity=PROBLEM, what=what, fix=fix, app=app, detail=detail)
