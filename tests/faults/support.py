"""What the tests of faults share: apps that tell their version, and somebody who asks them all the time."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox import Completed, Sandbox

OVERLAP = 0.5  # seconds for which old and new may take turns at a switch
APPS = Path(__file__).parent / "apps"


def files(kind: str, app: str, settings: str = "", **more: str) -> dict[str, str]:
    """A `wsgi` or `web` app that answers with its version, at first v0, as APP.localhost."""
    own = {path.name: path.read_text() for path in (APPS / kind).iterdir() if path.is_file()}
    return {
        **own,
        "ENV": f"{own.get('ENV', '')}NGINX_SERVER_NAME={app}.localhost\n{settings}",
        **more,
    }


@dataclass
class App:
    """An app on the server, with the client's repository; `number` counts its versions."""

    server: Sandbox
    name: str
    repository: Path
    number: int = 0

    @property
    def host(self) -> str:
        return f"{self.name}.localhost"

    @property
    def version(self) -> str:
        return f"v{self.number}"

    @property
    def releases_folder(self) -> Path:
        return self.server.root / "releases" / self.name

    @property
    def lock(self) -> Path:
        return self.server.root / "releases" / f"{self.name}@lock"

    def commit(self, changed: Mapping[str, str | None] | None = None) -> str:
        """Commit the next version, with these files changed."""
        self.number += 1
        return self.server.commit(self.repository, {"version": self.version, **(changed or {})})

    def push(self, changed: Mapping[str, str | None] | None = None) -> Completed:
        self.commit(changed)
        return self.server.push(self.repository, self.name)

    def deploy(self, changed: Mapping[str, str | None] | None = None) -> None:
        succeeded(self.push(changed))
        assert self.body() == self.version

    def offer(self, changed: Mapping[str, str | None] | None = None) -> None:
        """Bring the next version to the server, which does not deploy it by itself."""
        self.commit(changed)
        repository = str(self.server.root / "repos" / self.name)
        pack = "git -c core.hooksPath=/ receive-pack"
        self.server.git(
            self.repository, "push", "--quiet", "--receive-pack", pack, repository, "main"
        )

    def forget_last(self) -> None:
        """Take the last commit back, as one does after it turned out to be broken."""
        self.server.git(self.repository, "reset", "--quiet", "--hard", "HEAD^")

    def body(self) -> str:
        status, _, body = self.server.get(self.host)
        return body.decode() if status == 200 else f"status {status}"

    def branch(self) -> str:
        """The commit that the server has as its branch."""
        listing = self.server.git(
            self.repository, "ls-remote", self.server.remote(self.name), "main"
        ).stdout
        return listing.partition("\t")[0]

    def releases(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            succeeded(self.server.piku("releases", self.name, "--json"))
        )
        return found

    def newest(self) -> dict[str, Any]:
        """The record of the newest release, as it is on disk."""
        numbers = (path.stem.removeprefix("v") for path in self.releases_folder.glob("v*.json"))
        newest = max((int(number) for number in numbers if number.isdigit()), default=0)
        if not newest:
            return {"number": 0, "step": "", "outcome": ""}
        found: dict[str, Any] = json.loads((self.releases_folder / f"v{newest}.json").read_text())
        return found

    def ps(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            succeeded(self.server.piku("ps", self.name, "--json"))
        )
        return found

    def vassals(self) -> list[str]:
        """The files by which the emperor knows what of this app is to run."""
        enabled = self.server.root / "uwsgi-enabled"
        return sorted(
            entry.name for entry in enabled.iterdir() if entry.name.startswith(f"{self.name}@")
        )


def new_app(server: Sandbox, name: str, kind: str, settings: str = "", **more: str) -> App:
    """An app whose first release serves."""
    app = App(
        server=server,
        name=name,
        repository=server.repository(name, files(kind, name, settings, **more)),
    )
    app.deploy()
    return app


def succeeded(result: Completed) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def said(result: Completed) -> str:
    """The text of a push without git's "remote: " and its padding."""
    lines = [line.rpartition("\r")[2] for line in result.stdout.splitlines()]
    return "\n".join(re.sub(r"^remote: ?", "", line).rstrip() for line in lines)


@contextlib.contextmanager
def side_by_side(
    cases: Iterable[tuple[str, str, Callable[[], None]]],
) -> Iterator[dict[str, Future[None]]]:
    """Run cases (lane, name, what to do) at once, for most of their time is spent waiting; those of one
    lane in their order. Gives what comes of each."""
    lanes: dict[str, list[tuple[Future[None], Callable[[], None]]]] = {}
    found: dict[str, Future[None]] = {}
    for lane, name, run in cases:
        found[name] = Future()
        lanes.setdefault(lane, []).append((found[name], run))
    with ThreadPoolExecutor(len(lanes)) as pool:
        for chosen in lanes.values():
            pool.submit(_run_lane, chosen)
        yield found


def _run_lane(cases: list[tuple[Future[None], Callable[[], None]]]) -> None:
    for outcome, run in cases:
        try:
            outcome.set_result(run())
        except BaseException as error:  # noqa: BLE001 (raised again in the test of that name)
            outcome.set_exception(error)


class Watch:
    """Asks an app over and over while the block runs; then all its answers must be among `allowed`, and
    in that order: what was replaced does not come back.

    While nginx changes its workers, for a tenth of a second, both of its configurations serve.
    """

    def __init__(self, app: App, *allowed: str, ask: Callable[[], str] | None = None) -> None:
        self.allowed = list(allowed)
        self.seen: dict[str, tuple[float, float]] = {}  # when each was seen first, and last
        self.count = 0
        self.own_lag = 0.0  # how late this thread itself was at most, on a busy machine
        self._ask = ask or app.body
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        if error is not None:
            return
        assert self.count > 2
        assert set(self.seen) <= set(self.allowed), self.seen
        times = [self.seen[body] for body in self.allowed if body in self.seen]
        for (_, last), (first, _) in pairwise(times):
            assert last < first + OVERLAP + self.own_lag, (self.seen, self.own_lag)

    def _look(self) -> None:
        while not self._stop.is_set():
            asked = time.monotonic()
            try:
                body = self._ask()
            except OSError as error:
                body = repr(error)
            self.count += 1
            first, _ = self.seen.get(body, (time.monotonic(), 0.0))
            self.seen[body] = (first, asked)  # what was asked in time may be answered late
            begun = time.monotonic()
            time.sleep(0.04)  # several of these run at once
            self.own_lag = max(self.own_lag, time.monotonic() - begun - 0.04)
