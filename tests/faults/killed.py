"""Ways to kill a deploy: at a call of a program, at a step, or whatever of it runs at some moment."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import pytest

from tests.faults.support import App

# Put before the PATH of commands on the server. When armed, the n-th call by `piku deploy APP` kills that
# process, and goes on: what a killed program has started does not end with it.
SHIM = """\
#!/bin/sh
name=${0##*/}
armed=$0.armed
if [ -e "$armed" ]; then
    caller=$(tr '\\0' ' ' </proc/$PPID/cmdline)
    read -r program app count <"$armed"
    case "$program $caller" in
    "$name "*" deploy $app ")
        if [ "$count" -gt 1 ]; then
            echo "$program $app $((count - 1))" >"$armed"
        else
            rm "$armed"
            kill -9 $PPID
        fi ;;
    esac
fi
exec REAL "$@"
"""


class Shims:
    """Stand-ins for programs that the product calls, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, real in (
            ("git", "/usr/bin/git"),
            ("nginx", "/usr/sbin/nginx"),
        ):
            path = folder / name
            path.write_text(SHIM.replace("REAL", real))
            path.chmod(0o755)

    def arm(self, program: str, app: str, call: int) -> None:
        """Have the deploy of this app killed when it calls the program for the n-th time."""
        (self.folder / f"{program}.armed").write_text(f"{program} {app} {call}\n")

    def fired(self, program: str) -> bool:
        """Whether that came to pass; if not, it will not any more."""
        armed = self.folder / f"{program}.armed"
        waits = armed.exists()
        armed.unlink(missing_ok=True)
        return not waits


@dataclass(frozen=True)
class Session:
    """What sshd runs for one app's push."""

    app: App

    def hook(self) -> list[processes.Process]:
        """The process that deploys."""
        return self._running(f" git-hook {self.app.name}")

    def all(self) -> list[processes.Process]:
        """That, what it has started, and everything up to sshd's own child."""
        above = self._running(
            f" git-receive-pack '{self.app.name}'", f" git-receive-pack {self.app.name}"
        )
        found = processes.tree(*(process.pid for process in [*above, *self.hook()]))
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
    assert app.body() in bodies
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
