"""Ways to kill a deploy: at a moment of its own, or whatever of it runs."""

import contextlib
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import pytest
from laptop import Completed, run

from tests.faults.support import App

KILL = "kill -9 $1"


def at_moment(
    app: App, moment: str | int, command: str, *words: str, log: Path | None = None
) -> Completed:
    """Run piku with these words, and a shell command at one moment of it (at_moment.py)."""
    server, script = app.server, str(Path(__file__).with_name("at_moment.py"))
    return run(
        [
            "/usr/bin/python3",
            "-IS",
            script,
            str(server.checkout),
            str(log or log_of(app)),
            str(moment),
            command,
            *words,
        ],
        env=server.server_env(),
        cwd=server.home,
    )


def log_of(app: App) -> Path:
    return app.server.base / f"{app.name}.moments"


def moments(app: App) -> list[tuple[str, str, str]]:
    """What the last of these runs did: the step, what kind of change it was, and of which path."""
    lines = log_of(app).read_text().splitlines()
    return [(step, event, path) for step, event, path in (line.split("\t") for line in lines)]


@dataclass(frozen=True)
class Session:
    """What sshd runs for one app's push."""

    app: App

    def deploying(self) -> list[processes.Process]:
        """The process that deploys: a copy of the one that takes the push, which holds the lock."""
        taking = self._running(f"piku git-receive-pack '{self.app.name}'")
        text = self.app.lock.read_text() if self.app.lock.exists() else ""
        found = re.search(r"\(process (\d+),", text)
        return [one for one in taking if found and one.pid == int(found[1])]

    def all(self) -> list[processes.Process]:
        """That, what it has started, and everything up to sshd's own child."""
        above = self._running(
            f" git-receive-pack '{self.app.name}'", f" git-receive-pack {self.app.name}"
        )
        found = processes.tree(*(process.pid for process in above))
        return sorted(found, key=lambda process: process.pid)

    def _running(self, *ends: str) -> list[processes.Process]:
        mine = processes.marked(f"PIKU_TEST_SERVER={self.app.server.base}", self.app.server.base)
        return [process for process in mine if str(process).endswith(ends)]


def kill(victims: list[processes.Process]) -> None:
    for process in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def of_release(app: App, number: int) -> list[str]:
    """The processes that run with a release's variables: its own, its build's, its commands'."""
    mark, own = f"PIKU_RELEASE={number}", f"DATA_ROOT={app.server.root}/data/{app.name}"
    found = processes.marked(mark, Path("/nowhere")) & processes.marked(own, Path("/nowhere"))
    return [str(process) for process in found]


def check_sane(app: App, *bodies: str) -> None:
    """What `releases`, `ps` and the emperor say agrees with what is served, and nothing else runs."""
    releases = app.releases()
    [live] = [release for release in releases if release["live"]]
    assert live["outcome"] == "succeeded"
    body = app.body()
    assert body in bodies, f"{body}, not {bodies}"
    rows: list[dict[str, Any]] = []

    def only_that() -> bool:
        rows[:] = app.ps()
        wanted = [("up", live["number"])] * len(app.vassals())
        return [(row["state"], row["release"]) for row in rows] == wanted

    try:
        app.server.wait(only_that)
    except TimeoutError:
        pytest.fail(f"v{live['number']} is live, of {app.vassals()} run {rows}")
    for release in releases[:3]:
        if not release["live"]:
            assert release["outcome"] in ("succeeded", "failed"), releases
            check_ended(app, release["number"])


def check_ended(app: App, number: int) -> None:
    try:
        app.server.wait(lambda: not of_release(app, number))
    except TimeoutError:
        pytest.fail(f"of v{number} still run: {of_release(app, number)}")
