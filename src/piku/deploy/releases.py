"""Releases and activations on disk (design, "Releases, as Heroku knows them")."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from piku import files
from piku.app import variables
from piku.errors import PikuError
from piku.nginx.site import Cache, Site, Static
from piku.paths import AppName, AppPaths
from piku.uwsgi.emperor import VassalName

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

SCHEDULER = "_cron"  # no process type of a Procfile begins like that
BUILDING, PREPARED, SUCCEEDED, FAILED = "building", "prepared", "succeeded", "failed"


@dataclass(frozen=True, kw_only=True)
class Release:
    """Code, environment and settings under one number. Times are seconds of the epoch."""

    number: int
    kind: str  # "push", "deploy", "config" or "rollback"
    description: str
    commit: str
    by: str
    created: float
    outcome: str = BUILDING
    step: str = ""
    reason: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""
    environment: str = ""
    checkout: str = ""

    @property
    def usable(self) -> bool:
        """Whether all that it needs to start has been built once."""
        return self.outcome in (SUCCEEDED, PREPARED)


def title(kind: str, instance: int) -> str:
    """How people know a process: the scheduler by the process types that it stands for."""
    return "cron-*" if kind == SCHEDULER else f"{kind}.{instance}"


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process, and where it listens if it does.

    `origin` is the activation that started it: scaling carries the other processes over. `spare` is
    the port that the next one of its kind and instance is to have.
    """

    kind: str
    instance: int
    origin: int
    port: int | None = None
    spare: int | None = None
    address: str = ""  # "ADDRESS:PORT" or a socket's path

    @property
    def worker(self) -> str:
        """The name of its log and in `ps`, such as "web.1"."""
        return f"{self.kind}.{self.instance}"

    @property
    def schedules(self) -> bool:
        """Whether it only calls the app's scheduled jobs, which have logs of their own."""
        return self.kind == SCHEDULER

    @property
    def title(self) -> str:
        """What people read."""
        return title(self.kind, self.instance)

    @property
    def by_socket(self) -> bool:
        """Whether nginx reaches it over a unix socket."""
        return self.address.startswith("/")

    def vassal(self, app: AppName) -> VassalName:
        return VassalName(app, self.origin, self.kind, self.instance)


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One start of a release's processes; its number is never used again."""

    number: int
    release: int
    checkout: str
    processes: tuple[Process, ...] = ()
    site: Site | None = None
    drain_timeout: int = 30
    stop_timeout: int = 10
    stopped: bool = False
    counts: Mapping[str, int] | None = None  # what `ps:scale` asked for with this activation
    drains: tuple[str, ...] = ()  # who gets a copy of the log
    drain_ca: str = ""  # certificates that they may be certified by

    def vassals(self, app: AppName) -> list[VassalName]:
        return [process.vassal(app) for process in self.processes]


# --- releases ------------------------------------------------------------------------------------


def save_release(app: AppPaths, release: Release, *, durable: bool = False) -> None:
    files.write_json(app.release_record(release.number), asdict(release), durable=durable)


def load_release(app: AppPaths, number: int) -> Release:
    """The record of a release; raises PikuError when there is none."""
    stored = files.read_json(app.release_record(number))
    if stored is None:
        raise PikuError(
            f"{app.name} has no release v{number}", hint=f"see them with: piku releases {app.name}"
        )
    return _made(Release, stored, app.release_record(number))


def release_numbers(app: AppPaths) -> list[int]:
    """The numbers of all releases, rising."""
    stems = (path.stem.removeprefix("v") for path in app.releases.glob("v*.json"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def releases(app: AppPaths) -> list[Release]:
    """All releases, the newest first; one whose record is damaged is left out."""
    found = []
    for number in reversed(release_numbers(app)):
        with contextlib.suppress(PikuError):
            found.append(load_release(app, number))
    return found


def new_release(app: AppPaths, **values: Any) -> Release:
    """Record the beginning of a release under the next number."""
    release = Release(
        number=max(release_numbers(app), default=0) + 1, created=time.time(), **values
    )
    save_release(app, release, durable=True)
    return release


def write_settings(app: AppPaths, values: Mapping[str, str]) -> None:
    """Replace what config:set keeps."""
    files.write(app.settings, variables.render_literal(values), mode=0o600, durable=True)


# --- activations ---------------------------------------------------------------------------------


def next_activation(app: AppPaths) -> int:
    """A number that no activation of an app of this name ever had."""
    number = int(files.read(app.counter) or 0) + 1
    files.write(app.counter, f"{number}\n", durable=True)
    return number


def save_activation(app: AppPaths, activation: Activation) -> None:
    files.write_json(app.activation(activation.number) / "activation.json", asdict(activation))
    known = activations_of(app, activation.release) | {activation.number}
    files.write(
        _activations_file(app, activation.release), " ".join(map(str, sorted(known))) + "\n"
    )


def activations_of(app: AppPaths, release: int) -> set[int]:
    """The activations that a release ever had: by these its logs are known."""
    return {int(word) for word in files.read(_activations_file(app, release)).split()}


def _activations_file(app: AppPaths, release: int) -> Path:
    return app.releases / f"v{release}.activations"


def load_activation(app: AppPaths, number: int) -> Activation | None:
    stored = files.read_json(app.activation(number) / "activation.json")
    if stored is None:
        return None
    path = app.activation(number) / "activation.json"
    try:
        site = stored.pop("site")
        processes = tuple(_made(Process, process, path) for process in stored.pop("processes"))
    except (KeyError, TypeError, AttributeError):
        raise _damaged(path) from None
    made = _made(Activation, stored, path)
    return replace(made, processes=processes, site=_site(site, path) if site else None)


def _site(stored: dict[str, Any], path: Path) -> Site:
    try:
        cache, static = stored.pop("cache", None), stored.pop("static", [])
        pages = tuple((int(status), str(file)) for status, file in stored.pop("error_pages", []))
    except (TypeError, ValueError, AttributeError):
        raise _damaged(path) from None
    return replace(
        _made(Site, stored, path),
        cache=_made(Cache, cache, path) if cache else None,
        static=tuple(_made(Static, one, path) for one in static),
        error_pages=pages,
    )


def _made(kind: type[T], stored: dict[str, Any], path: Path) -> T:
    """A record of what was stored; fields of another version are passed over."""
    known = {field.name for field in fields(kind)}
    try:
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in stored.items()
            if name in known
        }
        return kind(**values)
    except (TypeError, AttributeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> PikuError:
    return PikuError(
        f"{path} is damaged", hint="restore it from a backup; if it is not live, remove it"
    )


def activation_numbers(app: AppPaths) -> list[int]:
    """The activations of which something is on disk, rising."""
    try:
        entries = [entry.name for entry in (app.releases / "activations").iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in entries if name.isdigit())


def live(app: AppPaths) -> Activation | None:
    """The activation that serves, if the app was ever live."""
    stored = files.read_json(app.live_record)
    if stored is None:
        return None
    try:
        return load_activation(app, int(stored["activation"]))
    except (KeyError, TypeError, ValueError):
        raise _damaged(app.live_record) from None


def commit(app: AppPaths, activation: Activation) -> None:
    """The commit point: from this rename on, the new activation is the live one.

    What it refers to must be on disk already (`effects.settle`).
    """
    record = {"activation": activation.number, "release": activation.release}
    files.write_json(app.live_record, record, durable=True)
