"""Releases, and the one record of what is live (design, "Releases, as Heroku knows them").

`releases/APP/vN.json` describes a release, `releases/APP/live.json` what serves. The second is
replaced by one rename: that is the commit point of every deploy.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from piku import dotenv, files, locks, records
from piku.app.procfile import UWSGI_SERVED
from piku.deploy import process_plan
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import SEPARATOR, AppName, AppPaths, Paths
from piku.uwsgi.emperor import VassalName

SCHEDULER = "_cron"  # no process type of a Procfile begins like that
BUILDING, BUILT, SUCCEEDED, FAILED = "building", "built", "succeeded", "failed"


@dataclass(frozen=True, kw_only=True)
class Release:
    """Code, environment and settings under one number. Times are seconds since the epoch.

    `environment` and `checkout` name folders in `envs/APP` and `releases/APP`: "v3", or what is in
    it of PIKU_APP_DIR. Several releases may share one build. `starts` are the numbers of its
    starts, by which its logs are found.
    """

    number: int
    kind: str  # "push", "deploy", "config" or "rollback"
    description: str
    commit: str
    by: str
    created: float
    ended: float = 0.0  # when it was live or had failed
    outcome: str = BUILDING
    step: str = ""
    reason: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""
    environment: str = ""
    checkout: str = ""
    starts: tuple[int, ...] = ()

    @property
    def has_own_code(self) -> bool:
        """Whether its checkout was made for it, and not for the release whose build it shares."""
        return f"{self.checkout}/".startswith(f"v{self.number}/")

    @property
    def title(self) -> str:
        """What it is, for a person: "v3 (1a2b3c4d, 'Fix the form')"."""
        return f"v{self.number} ({self.commit[:8]}, {self.description!r})"

    @property
    def usable(self) -> bool:
        """Whether everything it needs to start was built once."""
        return self.outcome in (SUCCEEDED, BUILT)


@dataclass(frozen=True, kw_only=True)
class Process:
    """One instance of a process type, and where it listens if it does.

    `start` is the number of the start that launched it: scaling carries the others over. One that
    is `elsewhere` runs where an extra's engine put it; its vassal only watches it.
    """

    kind: str
    instance: int
    start: int
    port: int | None = None
    address: str = ""  # "ADDRESS:PORT" or the path of a socket
    elsewhere: bool = False

    @property
    def worker(self) -> str:
        """Its name in logs and `ps`, such as "web.1"."""
        return f"{self.kind}.{self.instance}"

    @property
    def schedules(self) -> bool:
        """Whether it only calls the app's scheduled jobs, which have logs of their own."""
        return self.kind == SCHEDULER

    @property
    def served(self) -> bool:
        """Whether its vassal answers requests itself."""
        return self.kind in UWSGI_SERVED and not self.elsewhere

    def now(self, app: AppPaths) -> Process:
        """It with the address where it is reached now; without one while it runs nowhere."""
        place = files.read(self.place(app)).strip() if self.elsewhere else self.address
        return replace(self, address=place)

    def log(self, app: AppPaths) -> Path:
        """Its log; `logs/APP/KIND.N.log` links to the live one's. What uWSGI says of its cron is
        only for finding a fault of piku's."""
        if self.schedules:
            return app.start(self.start) / "cron.log"
        return app.logs / f"{self.worker}{SEPARATOR}{self.start}.log"

    def script(self, app: AppPaths) -> Path:
        """The script by which uWSGI starts one that it only watches."""
        return app.start(self.start) / f"{self.worker}.sh"

    def place(self, app: AppPaths) -> Path:
        """The file in which the vassal of one that runs elsewhere keeps its address."""
        return app.start(self.start) / f"{self.worker}.place"

    @property
    def title(self) -> str:
        """Its name in messages: the scheduler has that of the process types it runs."""
        return "cron-*" if self.schedules else self.worker

    @property
    def by_socket(self) -> bool:
        """Whether nginx reaches it over a unix socket."""
        return self.address.startswith("/")

    def upstream(self, app: AppPaths) -> str:
        """Where nginx finds it. What uWSGI serves is switched by replacing the link that nginx
        connects to, without a reload."""
        return f"unix:{app.socket(self.instance)}" if self.by_socket else self.address

    def vassal(self, app: AppName) -> VassalName:
        return VassalName(app, self.start, self.kind, self.instance)


@dataclass(frozen=True, kw_only=True)
class Draining:
    """A process of an earlier start that may finish its requests until then (epoch seconds)."""

    process: Process
    until: float


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live: everything else on the server follows from it (`reconcile`)."""

    release: int
    checkout: str
    start: int
    processes: tuple[Process, ...] = ()
    draining: tuple[Draining, ...] = ()
    site: Site | None = None
    drain_timeout: int = 30
    stop_timeout: int = 10
    stopped: bool = False
    counts: Mapping[str, int] | None = None  # what SCALING holds

    def vassals(self, app: AppName) -> list[VassalName]:
        return [process.vassal(app) for process in self.processes]


# --- releases ------------------------------------------------------------------------------------


def save_release(app: AppPaths, release: Release, *, durable: bool = True) -> None:
    records.save(app.release_record(release.number), release, durable=durable)


def load_release(app: AppPaths, number: int) -> Release:
    """The record of a release; raises PikuError when there is none, or it is damaged."""
    found = records.load(app.release_record(number), Release)
    if found is None:
        kept = 0 < number < min(release_numbers(app), default=0)
        what = "no longer keeps" if kept else "has no"
        raise PikuError(
            f"{app.name} {what} release v{number}", hint=f"see them with: piku releases {app.name}"
        )
    return found


def release_numbers(app: AppPaths) -> list[int]:
    """The numbers of all releases, rising."""
    stems = (path.stem.removeprefix("v") for path in app.releases.glob("v*.json"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def releases(app: AppPaths) -> Iterator[Release]:
    """All releases, the newest first, each read when it is asked for; one whose record is damaged
    is left out."""
    for number in reversed(release_numbers(app)):
        with contextlib.suppress(PikuError):
            yield load_release(app, number)


def newest(app: AppPaths) -> Release | None:
    """The newest release whose record can be read."""
    return next(releases(app), None)


def new_release(app: AppPaths, **values: Any) -> Release:
    """Record the beginning of a release under the next number."""
    number = max(release_numbers(app), default=0) + 1
    release = Release(number=number, created=time.time(), **values)
    save_release(app, release, durable=False)
    return release


def finish(app: AppPaths, release: Release, outcome: str, reason: str = "") -> Release:
    """Record how a release ended. One made of other settings takes them with it."""
    if outcome in (SUCCEEDED, BUILT) and release.kind in ("config", "rollback"):
        write_settings(app, release.settings)
    done = replace(release, outcome=outcome, reason=reason, ended=time.time())
    save_release(app, done)
    return done


def counts(app: AppPaths) -> dict[str, int]:
    """How many processes of each type the app should have."""
    return process_plan.parse_scaling(files.read(app.scaling))


def write_counts(app: AppPaths, values: Mapping[str, int]) -> None:
    files.write(app.scaling, process_plan.render_scaling(values), durable=True)


def write_settings(app: AppPaths, values: Mapping[str, str]) -> None:
    """Replace what config:set keeps."""
    files.write(app.settings, dotenv.render(values), mode=0o600, durable=True)


# --- what is live --------------------------------------------------------------------------------


def live(app: AppPaths) -> Live | None:
    """What serves, or None when the app was never live.

    Raises PikuError when the record is damaged, or is gone although the app's code is linked.
    """
    found = records.load(app.live_record, Live)
    if found is None and app.live_link.is_symlink():
        raise PikuError(
            f"{app.live_record} is missing, though {app.name} was live",
            hint=f"restore it from a backup, or start over: piku destroy {app.name}, then push",
        )
    return found


def require_live(app: AppPaths) -> Live:
    """What serves; raises PikuError when nothing was ever live."""
    if (found := live(app)) is None:
        raise PikuError(f"{app.name} has no live release", hint="push a working commit first")
    return found


def commit(app: AppPaths, record: Live) -> None:
    """The commit point: from this rename on, the record says what is live.

    Whatever it refers to must be on disk already.
    """
    records.save(app.live_record, record)


def next_start(paths: Paths) -> int:
    """A number that no start on this server ever had."""
    with locks.lock(paths.uwsgi / "starts.lock", "counting starts"):
        text = files.read(paths.start_counter).strip()
        known = (VassalName.parse(place.name) for place in paths.available.iterdir())
        # A power cut may have left an older number, or none.
        last = int(text) if text.isdecimal() else 0
        number = max([last, *(name.start for name in known if name)]) + 1
        files.write(paths.start_counter, f"{number}\n", durable=True)
    return number
