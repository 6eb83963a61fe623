"""A Procfile's text to what it says (specification, "Application Process Types")."""

import re
from dataclasses import dataclass

from piku.app import schedule as schedule_module
from piku.app.checks import quoted, static_paths
from piku.errors import PikuError

UWSGI_SERVED = ("wsgi", "jwsgi", "rwsgi", "php")
# The process types with a meaning; any other is a worker.
WITH_MEANING = ("preflight", "release", *UWSGI_SERVED, "web", "static")

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_PATH = (r"(?!/)(?!(.*/)?\.\.(/|$))[\w./ @+=,~-]+", "a path inside the app")
# What follows a type, if it is no command: its form, and what it is called.
_FORMS = {
    "wsgi": (r"[\w.]+(:[\w.]+(\(\))?)?", "a WSGI module, such as 'module:callable'"),
    "jwsgi": (r"[\w$./]+(:[\w$]+)?", "a Java entry, such as 'package/Class:method'"),
    "rwsgi": _PATH,
    "php": _PATH,
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: a process type and its command (for `static`, a folder)."""

    kind: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Job(Entry):
    """A scheduled job."""

    schedule: schedule_module.Schedule


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
        """The process type that answers requests, or empty."""
        return next((kind for kind in (*UWSGI_SERVED, "web") if kind in self.entries), "")

    @property
    def workers(self) -> tuple[str, ...]:
        """The process types that run beside the one that answers requests."""
        no_workers = (*WITH_MEANING, *(job.kind for job in self.jobs))
        return tuple(kind for kind in self.entries if kind not in no_workers)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(entry for entry in self.entries.values() if isinstance(entry, Job))

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
        try:
            entry = _entry(stripped)
        except PikuError as error:
            raise PikuError(f"Procfile line {number}: {error.message}", hint=error.hint) from None
        if entry.kind in entries:
            raise PikuError(f"Procfile line {number}: there is a line for {entry.kind!r} already")
        entries[entry.kind] = entry
    if not entries:
        raise PikuError("the Procfile is empty", hint="add a line such as 'web: python3 server.py'")
    by_uwsgi = next((kind for kind in UWSGI_SERVED if kind in entries), None)
    disabled = by_uwsgi is not None and entries.pop("web", None) is not None
    warnings = (f"'web' is disabled: '{by_uwsgi}' answers the requests",) if disabled else ()
    return Procfile(entries=entries, warnings=warnings)


def _static(command: str) -> str:
    """A folder, which may be written as `/folder/` or `/:folder`; or `/prefix:folder` several
    times, as it is."""
    folder = command.removeprefix("/:").strip("/") or "."
    try:
        static_paths(command if ":" in folder else f"/:{folder}")
    except ValueError as error:
        raise PikuError(str(error)) from None
    return command if ":" in folder else folder


def _entry(line: str) -> Entry:
    kind, colon, command = (part.strip() for part in line.partition(":"))
    if not colon or not kind:
        raise PikuError(f"{quoted(line)} is not of the form 'type: command'")
    if not _KIND.fullmatch(kind):
        hint = "it begins with a letter, and has up to 41 letters, digits, '-' and '_'"
        raise PikuError(f"{quoted(kind)} cannot be the name of a process type", hint=hint)
    if not command:
        raise PikuError(f"{kind!r} has no command")
    if kind == "cron-":
        hint = "write 'cron-NAME: */5 * * * * command'"
        raise PikuError("a scheduled job needs a name", hint=hint)
    if kind.startswith("cron-"):
        schedule, command = schedule_module.parse(command)
        return Job(kind=kind, command=command, schedule=schedule)
    if re.fullmatch(r"cron\d*", kind) and re.match(r"[@*\d]", command):
        return _entry(f"cron-{kind[4:] or 'job'}: {command}")
    if kind == "static":
        return Entry(kind=kind, command=_static(command))
    pattern, what = _FORMS.get(kind, (".*", ""))
    if not re.fullmatch(pattern, command):
        raise PikuError(f"{quoted(command)} is not {what}")
    return Entry(kind=kind, command=command)
