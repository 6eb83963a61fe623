"""Whether the processes of an activation are well, and why they are not."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files as files_module
from piku import ports as ports_module
from piku import procfs
from piku.deploy import process_config as files
from piku.deploy import process_events
from piku.deploy.releases import Activation, Process
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.operate import log_timestamps
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, ini, noise
from piku.uwsgi.emperor import State

# A worker that still runs after this many seconds is taken to be well.
SETTLED = 0.5
_PROBE_TIMEOUT = 5.0
_END = 1 << 16  # bytes at the end of a log in which its last lines are looked for
_NO_CALLABLE = "(callable not found or import error)"


@dataclass(frozen=True, kw_only=True)
class Check:
    """How to ask a process that serves: a path and the host it expects; no path, no question."""

    path: str
    host: str


def wait_serving(
    paths: Paths,
    app: AppPaths,
    activation: Activation,
    chosen: Sequence[Process],
    timeout: float,
    check: Check,
) -> None:
    """Wait until every serving process is well; raises PikuError with the cause as soon as one is not."""
    deadline = time.monotonic() + timeout
    for process in chosen:
        if process.address:
            _wait_one(paths, app, activation, process, deadline, timeout, check)


def wait_workers(
    paths: Paths, app: AppPaths, activation: Activation, chosen: Sequence[Process], timeout: float
) -> None:
    """Wait until every worker runs, at most `timeout` seconds, and a moment more to see that it keeps running."""
    workers = [process for process in chosen if not process.address]
    if not workers:
        return
    deadline = time.monotonic() + timeout
    for process in workers:
        for _ in files_module.poll(deadline):
            emperor.statistics(paths)  # asking has the emperor look at its folder
            if process_events.read(app, process).starts:
                break
        else:
            _fail(app, activation, process, f"did not start within {timeout:.0f} s")
    settled = time.monotonic() + SETTLED
    for _ in files_module.poll(settled, first=0.05):
        for process in workers:
            if process_events.read(app, process).has_ended:
                _fail(app, activation, process, "ended right after it was started")


def _wait_one(
    paths: Paths, app: AppPaths, activation: Activation, process: Process,
    deadline: float, timeout: float, check: Check,
) -> None:  # fmt: skip
    name = process.vassal(app.name)
    pid = 0
    status = 0
    for _ in files_module.poll(deadline, first=0.003, most=0.03):
        state = (emperor.statistics(paths) or {}).get(name)
        ended = process_events.read(app, process).has_ended or _worker_died(app, process)
        if ended or (pid and (state is None or state.pid != pid)):
            _fail(app, activation, process, "ended while it was starting")
        pid = (state.pid if state is not None else 0) or pid
        if state is not None and state.asleep and not pid:
            _knock(process)
        if state is None or not _listens(process, state):
            continue
        status = _ask(process, check) if check.path else 200
        if 0 < status < 500:
            return
    if status:
        what = f"answers {check.path} with {status}"
    else:
        what = f"did not answer within {timeout:.0f} s: {_reason(process, pid)}"
    _fail(app, activation, process, what)


def wait_back(paths: Paths, app: AppPaths, chosen: Sequence[Process], timeout: float) -> None:
    """Give processes that were stopped for a release that failed the time to answer again."""
    waiting = [process for process in chosen if process.address]
    for _ in files_module.poll(time.monotonic() + timeout):
        running = emperor.statistics(paths) or {}
        states = [(process, running.get(process.vassal(app.name))) for process in waiting]
        waiting = [process for process, state in states if not _is_back(process, state)]
        if not waiting:
            return


def _is_back(process: Process, state: State | None) -> bool:
    # One that sleeps until somebody connects is where it is to be.
    return state is not None and (state.asleep or _listens(process, state))


def _knock(process: Process) -> None:
    """Wake a process that sleeps until somebody connects."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(process.address)


def _listens(process: Process, state: State) -> bool:
    if process.kind in ini.MODIFIERS:
        return state.accepting
    return accepts(process.address)


def accepts(address: str) -> bool:
    """Whether anybody listens at "ADDRESS:PORT"."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def _reason(process: Process, vassal: int) -> str:
    if process.kind in ini.MODIFIERS:
        return "the app is still loading"
    elsewhere = ports_module.listening(procfs.descendants(vassal)) if vassal else []
    if elsewhere and process.port not in elsewhere:
        ports = ", ".join(map(str, elsewhere))
        return f"it listens on port {ports}, not on {process.port} (its $PORT)"
    return f"nothing listens on {process.address} (its $BIND_ADDRESS and $PORT)"


def _ask(process: Process, check: Check) -> int:
    """The status of a GET request made to the process itself; 0 when it gives none."""
    try:
        if process.address.startswith("/"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_PROBE_TIMEOUT)
                client.connect(process.address)
                client.sendall(_uwsgi_request(check, ini.MODIFIERS[process.kind]))
                return _status(client)
        host, _, port = process.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_PROBE_TIMEOUT) as client:
            lines = (
                f"GET {check.path} HTTP/1.1",
                f"Host: {check.host}",
                "User-Agent: piku",
                "Connection: close",
            )
            client.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            return _status(client)
    except OSError:
        return 0


def _status(client: socket.socket) -> int:
    words = client.recv(4096).split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _uwsgi_request(check: Check, modifier: int) -> bytes:
    # uWSGI documentation, "The uwsgi Protocol": modifier1, size, modifier2, then sized pairs.
    path, _, query = check.path.partition("?")
    pairs = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_URI": check.path,
        "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": check.host, "SERVER_NAME": check.host,
        "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": "piku",
    }  # fmt: skip
    body = b"".join(
        struct.pack("<H", len(part)) + part
        for pair in pairs.items()
        for part in map(str.encode, pair)
    )
    return struct.pack("<BHB", modifier, len(body), 0) + body


# --- evidence ------------------------------------------------------------------------------------


def _worker_died(app: AppPaths, process: Process) -> bool:
    """Whether a process in which uWSGI runs the app has ended: a Java class that is missing, for one,
    ends it, and uWSGI then starts the next without end."""
    return process.kind in ini.MODIFIERS and "\nDAMN ! worker " in files_module.read(
        files.log_file(app, process)
    )


def _fail(app: AppPaths, activation: Activation, process: Process, what: str) -> None:
    if limits.killed(app, activation, process):
        what += ": it was killed, for the app took more memory than PIKU_MEMORY_LIMIT allows"
    lines = last_lines(files.log_file(app, process))
    if any(_NO_CALLABLE in line for line in lines) and not any("Error:" in line for line in lines):
        lines = (*lines, "That is: the module has no callable of the name that the Procfile says")
    raise PikuError(
        f"{process.title} {what}",
        detail=lines or ("(it wrote nothing to its log)",),
        hint=f"see all it wrote: piku logs {app.name} --release {activation.release}",
    )


def last_lines(log: Path, count: int = 15) -> tuple[str, ...]:
    """The end of a log without uWSGI's own remarks, as a terminal may get it."""
    worker = log_timestamps.worker_of(log.name)
    written = (log_timestamps.told(worker, line).text for line in _end_of(log))
    lines = (line for line in written if line.strip() and not noise.is_routine(line))
    return tuple(log_timestamps.harmless(line.decode(errors="surrogateescape")) for line in lines)[
        -count:
    ]


def _end_of(log: Path) -> list[bytes]:
    """The last lines of a log, which may be a large one."""
    try:
        with log.open("rb") as file:
            place = max(0, os.fstat(file.fileno()).st_size - _END)
            lines = os.pread(file.fileno(), _END, place).splitlines()
    except FileNotFoundError:
        return []
    return lines[1:] if place and len(lines) > 1 else lines
