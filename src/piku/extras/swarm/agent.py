"""The program that a vassal runs for a process on the cluster: it watches over one service.

It starts the service, or finds it running; copies what it writes; keeps the address of the node
that it is on, which nginx is told of when it changes; and removes it when the vassal is to stop.
When the platform stops, the vassal is still enabled: the service goes on, and is found again.
"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from piku import files
from piku.errors import PikuError
from piku.extras.swarm import login
from piku.extras.swarm.api import ENDED, Engine, group
from piku.paths import Paths
from piku.uwsgi import ini
from piku.uwsgi.emperor import VassalName

_LOOK = 0.5  # seconds between looks at the tasks; the engine announces nothing about these
_FIRST = 0.05  # seconds, while the task is not yet running
_LOGS = ("starting", "running", "complete", "failed")
# The log of a task that ended is complete after so many seconds, if the last are without a line.
_LATE, _SILENCE, _LONG = 0.9, 0.3, 5.0


class Agent:
    """Watches over one task of the service that a file of `service.wrap` describes."""

    def __init__(self, paths: Paths, about: dict[str, Any]) -> None:
        name = VassalName.parse(about["vassal"])
        assert name is not None
        self._paths, self._spec, self._engine, self._vassal = (
            paths, about["spec"], Engine.of(paths), name,
        )  # fmt: skip
        self._place, self._secret = Path(about["place"]), about["secret"]
        self._stop = threading.Event()
        self._begun, self._written = 0.0, time.monotonic()
        self._known: set[str] = set()  # tasks whose log is copied, or was
        self._reported: set[str] = set()
        self._running = ""  # the task that ran at the last look
        self._said = ""

    def run(self) -> None:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop.set()

        signal.signal(signal.SIGTERM, stop)
        while not self._stop.is_set() and not self._attempt(self._start):
            self._stop.wait(1)
        while not self._stop.is_set():
            self._attempt(self._look)
            self._stop.wait(_LOOK if files.read(self._place) else _FIRST)
        if not (self._paths.enabled / f"{self._vassal}.ini").is_symlink():
            self._attempt(self._remove)

    def _attempt(self, work: Any) -> bool:
        """Do it; without an answer of the engine nothing is known, and nothing is changed."""
        try:
            work()
        except PikuError as error:
            self._tell(error.message)
            return False
        return True

    def _tell(self, text: str) -> None:
        if text and text != self._said:
            print(f"[piku] {text}", flush=True)
        self._said = text

    # --- starting ----------------------------------------------------------------------------

    def _start(self) -> None:
        """Make the service, unless the deploy or another task's vassal has, or it went on while
        piku was down: then what it wrote until now, and how it ended, is known already."""
        if self._place.exists():
            self._begun = time.time()
            found = self._engine.tasks(self._vassal)
            self._reported = {task["ID"] for task in found if task["Status"]["State"] in ENDED}
            self._known |= self._reported
        create(self._engine, self._spec, self._secret)

    # --- watching ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Note where the task runs, copy its log, and report one that has ended."""
        tasks, nodes = self._engine.tasks(self._vassal), self._engine.addresses()
        wanted = [task for task in tasks if task["DesiredState"] == "running"]
        running = [
            task for task in wanted
            if task["Status"]["State"] == "running" and task.get("NodeID") in nodes
        ]  # fmt: skip
        self._running = running[0]["ID"] if running else ""
        for task in tasks:
            if task["ID"] not in self._known and task["Status"]["State"] in _LOGS:
                self._known.add(task["ID"])
                threading.Thread(target=self._copy_log, args=(task["ID"],), daemon=True).start()
            if task["Status"]["State"] in ("failed", "rejected", "complete"):
                self._report(task)
        self._move(address(running[0], nodes) if running else "")
        waiting = [] if running else wanted
        self._tell(next(filter(None, map(reason, waiting)), ""))

    def _move(self, place: str) -> None:
        """Keep the new address, and have nginx use it if this process is live."""
        if place == files.read(self._place).strip():
            return
        files.write(self._place, place and f"{place}\n")
        live = files.read(self._paths.app(self._vassal.app).live_record)
        is_live = f'"start": {self._vassal.start},' in live
        if is_live and self._spec["EndpointSpec"]["Ports"]:
            # In a process of its own, which brings nginx's part of piku and ends.
            subprocess.run([sys.executable, "-B", "-m", "piku.extras.swarm.follow"], check=False)

    def _report(self, task: dict[str, Any]) -> None:
        """Say once, after what it wrote, how a task ended by itself."""
        if task["ID"] in self._reported:
            return
        self._reported.add(task["ID"])
        seen = time.monotonic()
        # Another task may write without a pause.
        while time.monotonic() < min(seen + _LONG, max(seen + _LATE, self._written + _SILENCE)):
            time.sleep(_SILENCE)
        status = task["Status"]
        if status["State"] == "rejected":
            self._tell(f"{self._vassal.worker} could not be started: {status.get('Err', '')}")
            return
        code = status.get("ContainerStatus", {}).get("ExitCode", -1)
        print(f"{ini.ENDED.format(worker=self._vassal.worker)}{code}", flush=True)

    def _copy_log(self, task: str) -> None:
        for part in self._engine.log(task, self._begun):
            self._written = time.monotonic()
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        if task == self._running:  # the engine ended, not the task
            self._begun = time.time()
            self._known.discard(task)

    # --- stopping ----------------------------------------------------------------------------

    def _remove(self) -> None:
        """Remove the service, and wait until its task has ended: another may have to start next.
        Of one whose node does not answer nobody knows."""
        self._move("")
        self._engine.remove("services", self._spec["Name"])
        for secret in self._engine.listing("secrets", label=[f"piku.group={group(self._vassal)}"]):
            self._engine.remove("secrets", secret["ID"])
        while any(
            task["Status"]["State"] not in ENDED and task.get("NodeID") in self._engine.addresses()
            for task in self._engine.tasks(self._vassal)
        ):
            time.sleep(0.1)


def create(engine: Engine, spec: dict[str, Any], secret: str) -> None:
    """Make a service with the secret that has its settings, unless they are there."""
    data = secret.encode(errors="surrogateescape")
    name = f"{spec['Name'][:55]}-{hashlib.sha256(data).hexdigest()[:8]}"
    text = base64.b64encode(data).decode()
    engine.create("secrets", {"Name": name, "Labels": spec["Labels"], "Data": text})
    own = {"UID": str(os.getuid()), "GID": str(os.getgid()), "Mode": 0o400}
    spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = [
        {
            "File": {"Name": "piku-settings", **own},
            "SecretID": engine.call("GET", f"/secrets/{name}")["ID"],
            "SecretName": name,
        }
    ]
    image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    engine.create("services", spec, login.header(image, Path.home()))


def reason(task: dict[str, Any]) -> str:
    """Why a task that is wanted does not run yet; empty when it just starts."""
    fetches = "its node fetches the image" if task["Status"]["State"] == "preparing" else ""
    return str(task["Status"].get("Err") or fetches)


def address(task: dict[str, Any], nodes: Mapping[str, str]) -> str:
    """Where a task that runs is reached: the node's address, with the port if it listens."""
    ports = task["Status"].get("PortStatus", {}).get("Ports") or []
    host = nodes[task["NodeID"]]
    return f"{host}:{ports[0]['PublishedPort']}" if ports else host


if __name__ == "__main__":
    Agent(Paths.from_environment(os.environ), json.loads(Path(sys.argv[1]).read_text())).run()
