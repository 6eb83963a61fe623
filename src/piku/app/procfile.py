"""A Procfile's text to what it says (specification, "Application Process Types")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from piku.app import schedule as schedule_module
from piku.errors import PikuError

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_MODULE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_.]*(\(\))?)?"
)

_JAVA_ENTRY = re.compile(r"[A-Za-z_$][\w$]*([./][A-Za-z_$][\w$]*)*(:[A-Za-z_$][\w$]*)?")

PHASES = ("preflight", "release")
UWSGI_SERVED = ("wsgi", "jwsgi", "rwsgi", "php")
# The process types that mean something; any other is a worker.
_WITH_MEANING = (*PHASES, *UWSGI_SERVED, "web", "static")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: a process type and its command (for `static` a folder), for `cron-*` with its schedule."""

    kind: str
    command: str
    line: int
    schedule: schedule_module.Schedule | None = None


@dataclass(frozen=True, kw_only=True)
class Procfile:
    """The entries of a Procfile by process type, in its order."""

    entries: dict[str, Entry]
    warnings: tuple[str, ...] = ()

    def __contains__(self, kind: str) -> bool:
        return kind in self.entries

    def command(self, kind: str) -> str:
        """The command of a process type; empty when there is none."""
        return self.entries[kind].command if kind in self.entries else ""

    @property
    def serving(self) -> str:
        """The process type that answers requests, or nothing."""
        return next((kind for kind in (*UWSGI_SERVED, "web") if kind in self.entries), "")

    @property
    def workers(self) -> tuple[str, ...]:
        """The process types that run beside what answers requests."""
        return tuple(
            kind
            for kind, entry in self.entries.items()
            if kind not in _WITH_MEANING and not entry.schedule
        )

    @property
    def jobs(self) -> tuple[Entry, ...]:
        """What runs by a schedule."""
        return tuple(entry for entry in self.entries.values() if entry.schedule)

    @property
    def scalable(self) -> tuple[str, ...]:
        return (*((self.serving,) if self.serving else ()), *self.workers)


def parse(text: str) -> Procfile:
    """Read a Procfile; raises PikuError that names the line."""
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        entry = _entry(stripped, number)
        if entry.kind in entries:
            first = entries[entry.kind].line
            raise _problem(number, f"{entry.kind!r} stands twice (first in line {first})")
        entries[entry.kind] = entry
    if not entries:
        raise PikuError("the Procfile is empty", hint="add a line such as 'web: python3 server.py'")
    return _without_superseded(entries)


def _mistyped(entries: dict[str, Entry]) -> tuple[str, ...]:
    """What to say of types that are nearly ones with a meaning: as they stand they are plain workers."""
    known = [kind for kind in _WITH_MEANING if kind not in entries]
    pairs = ((entry, _meant(kind, known)) for kind, entry in entries.items() if not entry.schedule)
    return tuple(
        f"Procfile line {entry.line}: {entry.kind!r} runs as a worker; did you mean {meant!r}?"
        for entry, meant in pairs
        if meant
    )


def _meant(kind: str, known: Sequence[str]) -> str:
    if kind in _WITH_MEANING:
        return ""
    swapped = (one for one in known if sorted(one) == sorted(kind.lower()))
    return next(swapped, "") or next(iter(get_close_matches(kind.lower(), known, 1, 0.75)), "")


def _entry(line: str, number: int) -> Entry:
    kind, colon, command = (part.strip() for part in line.partition(":"))
    if not colon or not _KIND.fullmatch(kind):
        raise _problem(number, f"{_short(line)!r} is not of the form 'type: command'")
    if not command:
        raise _problem(number, f"{kind!r} has no command")
    if "\0" in command:
        raise _problem(number, f"the command of {kind!r} contains a NUL byte")
    if kind.startswith("cron-"):
        return _job(kind, command, number)
    if kind == "wsgi" and not _MODULE.fullmatch(command):
        raise _problem(
            number,
            f"{_short(command)!r} is not a WSGI module",
            hint="write 'wsgi: module:callable'",
        )
    if kind == "jwsgi" and not _JAVA_ENTRY.fullmatch(command):
        raise _problem(
            number,
            f"{_short(command)!r} is not a Java entry",
            hint="write 'jwsgi: package/Class:method'",
        )
    if kind in ("static", "php", "rwsgi"):
        _check_path(kind, command, number)
    return Entry(kind=kind, command=command, line=number)


def _job(kind: str, text: str, number: int) -> Entry:
    if kind == "cron-":
        raise _problem(
            number, "a scheduled job needs a name", hint="write 'cron-NAME: */5 * * * * command'"
        )
    try:
        schedule, command = schedule_module.parse(text)
    except PikuError as error:
        raise _problem(number, f"{kind}: {error.message}", hint=error.hint) from None
    return Entry(kind=kind, command=command, line=number, schedule=schedule)


def _check_path(kind: str, path: str, number: int) -> None:
    if path.startswith("/") or ".." in path.split("/"):
        raise _problem(number, f"the {kind} path {_short(path)!r} is outside the app")
    if re.search(r"[^\w./ @+=,~-]", path):
        raise _problem(
            number, f"the {kind} path {_short(path)!r} has characters nginx cannot be given"
        )


def _without_superseded(entries: dict[str, Entry]) -> Procfile:
    by_uwsgi = next((kind for kind in UWSGI_SERVED if kind in entries), None)
    if by_uwsgi is None or "web" not in entries:
        return Procfile(entries=entries, warnings=_mistyped(entries))
    kept = {kind: entry for kind, entry in entries.items() if kind != "web"}
    disabled = f"'web' is disabled: '{by_uwsgi}' answers the requests"
    return Procfile(entries=kept, warnings=(disabled, *_mistyped(kept)))


def _problem(number: int, text: str, hint: str = "") -> PikuError:
    return PikuError(f"Procfile line {number}: {text}", hint=hint)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
