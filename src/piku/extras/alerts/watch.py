"""What has changed since the last look, and the alerts that are still on their way.

`alerts.json` in the piku root holds the problems that were told of, the newest release of each app
that was, and alerts that could not be delivered yet. It is written before anything is sent, so a
power cut repeats an alert rather than lose one.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from piku import files, locks, records
from piku.deploy import releases
from piku.errors import PikuError
from piku.extras.alerts import problems, send, settings
from piku.extras.alerts.problems import Problem, Problems
from piku.extras.alerts.send import Alert
from piku.operate.ps import States
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import emperor, housekeeping

_GIVEN_UP = 86400.0  # seconds after which an alert that nobody takes is dropped
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0  # seconds between two attempts
_MOST, _ROOM = 200, 8192  # alerts that wait, bytes


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An alert on its way to one receiver, and when it is tried again (seconds of the epoch)."""

    alert: Alert
    to: str
    attempts: int = 0
    due: float = 0.0


@dataclass(frozen=True, kw_only=True)
class State:
    """What was told: of each app (or "", the server) its problems by name, and its last release."""

    problems: Mapping[str, Mapping[str, Problem]] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()


def place(paths: Paths) -> Path:
    return paths.root / "alerts.json"


def load(paths: Paths) -> State | None:
    """What is known from the last look; None before the first, and when that cannot be read."""
    try:
        return records.load(place(paths), State)
    except PikuError:
        return None


def periodic(paths: Paths) -> None:
    """Look at the server and every app, and tell whoever wants to know what has changed."""
    if not any(map(settings.wanted, _all_values(paths).values())):
        return
    # A full disk has no room for a note on who holds the lock.
    with locks.lock(paths.root / "alerts.lock", "", patient=False):
        while True:
            request = housekeeping.requested(paths)
            _look(paths)
            # What was asked for meanwhile gave up, because we held the lock.
            if housekeeping.requested(paths) == request:
                return


def _look(paths: Paths) -> None:
    values = _all_values(paths)
    newest = {str(app.name): _newest(app) for app in map(paths.app, paths.app_names())}
    # What was deployed before the first look is no news.
    before = load(paths) or State(told=newest)
    states = emperor.observe(paths)
    found = {name: _problems(paths, name, states, before) for name in values}
    state = State(problems=found, told=newest)
    new = [
        Pending(alert=alert, to=to)
        for alert in (*_changes(before, state), *_deploys(paths, before, state))
        for to in send.receivers(values.get(alert.app, values[""]))
    ]
    state = replace(state, pending=(*before.pending, *new)[-_MOST:])
    _save(place(paths), state, before)
    left = tuple(deliver(state.pending, values, Output(sys.stderr).warn))
    _save(place(paths), replace(state, pending=left), state)
    _beat(values, state)


def _save(file: Path, state: State, before: State) -> None:
    """Write what has changed, and room for more: a full disk lets only that be written to."""
    text = json.dumps(asdict(state))
    try:
        if state != before or not file.exists():
            files.write(file, text + " " * _ROOM, mode=0o600, durable=True)
    except OSError:
        if len(text) > (room := file.stat().st_size):
            raise
        with file.open("r+") as old:
            old.write(text.ljust(room))


def _all_values(paths: Paths) -> dict[str, dict[str, str]]:
    """The settings of the server, by "", and of each app."""
    server = settings.of_server(paths)
    return {"": server} | {name: _values(server, paths.app(name)) for name in paths.app_names()}


def _values(server: dict[str, str], app: AppPaths) -> dict[str, str]:
    """The settings of one app; the server's while its own are damaged."""
    try:
        values = settings.of_app(server, app)
        for setting in settings.SETTINGS:
            setting.read(values)
        return values
    except PikuError:
        return server


def _problems(paths: Paths, name: str, states: States | None, before: State) -> Problems:
    """What is wrong with one app now, or with the server; what was, while nobody can tell."""
    if not name:
        return problems.of_server(paths)
    found = problems.of_app(paths, paths.app(AppName(name)), states)
    return dict(before.problems.get(name, {})) if found is None else found


def _changes(before: State, now: State) -> Iterator[Alert]:
    for app, known in now.problems.items():
        old = before.problems.get(app, {})
        for name in known.keys() - old.keys():
            yield alert(app, "problem", known[name].what, known[name].detail)
        for name in old.keys() - known.keys():
            yield alert(app, "solved", f"over: {old[name].what}")


def _newest(app: AppPaths) -> int:
    """The newest release that went live or failed; one that still waits is reported later."""
    ended = (releases.SUCCEEDED, releases.FAILED)
    return max((one.number for one in releases.releases(app) if one.outcome in ended), default=0)


def _deploys(paths: Paths, before: State, now: State) -> Iterator[Alert]:
    """Releases made since the last look."""
    for app in map(paths.app, paths.app_names()):
        first, last = before.told.get(app.name, 0), now.told.get(app.name, 0)
        for one in reversed(list(releases.releases(app))):
            what = f"v{one.number} ({one.description}, by {one.by.partition(' ')[0]})"
            if first < one.number <= last and one.outcome == releases.SUCCEEDED:
                yield alert(app.name, "live", f"{what} went live")
            elif first < one.number <= last and one.outcome == releases.FAILED:
                yield alert(app.name, "failed", f"{what} failed", tuple(one.reason.splitlines()))


def alert(app: str, event: str, what: str, detail: tuple[str, ...] = ()) -> Alert:
    """An alert of this moment. A receiver takes UTF-8 alone; a commit's message may be none."""
    first, *rest = (text.encode(errors="replace").decode() for text in (what, *detail))
    now, identity = int(time.time()), str(uuid.uuid4())
    return Alert(id=identity, at=now, app=app, event=event, what=first, detail=tuple(rest))


def deliver(
    pending: tuple[Pending, ...],
    values: Mapping[str, Mapping[str, str]],
    warn: Callable[[str], None],
) -> Iterator[Pending]:
    """Send what is due; yields what is to be tried again, later each time. A receiver that does
    not answer is not asked a second time in one look."""
    silent = set[str]()
    for one in pending:
        now, own = time.time(), values.get(one.alert.app, values[""])
        if one.due > now:
            yield one
            continue
        if (where := send.address(one.to, own)) not in silent:
            try:
                send.send(one.alert, one.to, own)
                continue
            except PikuError as error:
                silent.add(where)
                warn(f"an alert could not be sent: {error.message}")
        if now - one.alert.at < _GIVEN_UP:
            wait = min(_FIRST_WAIT * 2**one.attempts, _LONGEST_WAIT)
            yield replace(one, attempts=one.attempts + 1, due=now + wait)


def _beat(values: Mapping[str, Mapping[str, str]], state: State) -> None:
    """Ask the heartbeat's address of everything that has one of its own, and no problem. Whoever
    waits for it notices both a problem and a server that is gone."""
    url = settings.HEARTBEAT_URL
    everybody = url.read(values[""])
    if everybody and not any(state.problems.values()):
        send.beat(everybody)
    for app, own in values.items():
        address = url.read(own)
        if address and address != everybody and not state.problems[app]:
            send.beat(address)
