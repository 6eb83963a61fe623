"""Whether the processes of a release are well, and if not, why."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from piku import files, ports, procfs
from piku.app import settings
from piku.deploy import probe
from piku.deploy.probe import Check
from piku.deploy.releases import Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, ini, noise
from piku.uwsgi.emperor import State

if TYPE_CHECKING:
    from piku.deploy.deployment import Deployment

_SETTLED = 0.5  # seconds after which a worker that still runs is taken to be well
_SETTING_UP = "/usr/bin/setpriv --pdeathsig KILL -- "  # in templates/daemon.sh
_LOGGED = 2.0  # seconds within which the log has how a program ended
_WARMING_UP = 3.0  # seconds for which answers of 500 and above are not yet taken as final
_SIGN_OF_LIFE = 10.0  # seconds after which a push says what it waits for
_TAIL = 1 << 16  # bytes at the end of a log in which its last lines are looked for


def ask_live(deployment: Deployment) -> int:
    """What the live release answers to the same question; 0 for nothing."""
    live = deployment.live
    serving = [process for process in live.processes if process.address] if live else []
    return probe.ask(serving[0].now(deployment.app), Check.of(deployment)) if serving else 0


def wait_serving(
    deployment: Deployment, chosen: Sequence[Process], live_status: int | None = None
) -> None:
    """Wait until every serving process answers; raises PikuError with the cause as soon as one
    fails.

    A release whose answer is an error of its own (500 and above) replaces none whose answer is not:
    `live_status` is the answer of one that was stopped before.
    """
    check = Check.of(deployment)
    deadline = time.monotonic() + settings.DEPLOY_TIMEOUT.read(deployment.values)
    for process in chosen:
        status = _wait_one(deployment, process, check, deadline)
        if status < 500:
            continue
        what = f"answers {check.path} with {status}"
        replaced = ask_live(deployment) if live_status is None else live_status
        log = tail(process.log(deployment.app))
        is_asgi = process.kind == "wsgi" and "required positional argument: 'send'" in log
        if check.strict or is_asgi or 0 < replaced < 500:
            if not check.strict and replaced:
                what += f", where the live release answers {replaced}"
            raise failure(deployment, process, what)
        deployment.output.warn(f"{process.title} {what}: see piku logs {deployment.app.name}")
    for hook in hooks("healthy"):
        hook(deployment, chosen)


def _wait_one(deployment: Deployment, process: Process, check: Check, deadline: float) -> int:
    """Wait for an answer; returns its status (200: connected, where that is enough)."""
    app, name = deployment.app, process.vassal(deployment.app.name)
    begun, pid, answered = time.monotonic(), 0, 0
    said = begun
    for _ in files.poll(deadline, first=0.003, most=0.03):
        if (now := time.monotonic()) > said + _SIGN_OF_LIFE:
            reason = f"it answers with {answered}" if answered else _reason(process, pid)
            deployment.output.detail(f"… {process.title}, {now - begun:.0f} s: {reason}")
            said = now
        process, running = process.now(app), emperor.observe(deployment.paths)
        if running is None:
            continue  # no answer is no evidence
        state = running.get(name)
        if ending(app, process) is not None or (pid and (state is None or state.pid != pid)):
            raise failure(deployment, process, f"{_ended(app, process)} while it was starting")
        pid = (state.pid if state is not None else 0) or pid
        if state is not None and state.asleep and not pid:
            probe.accepts(process.address)
        if state is None or not _listens(process, state):
            continue
        answered = 200 if check.connect_only else probe.ask(process, check)
        if 0 < answered < 500:
            return answered
        if answered and not check.strict and time.monotonic() > begun + _WARMING_UP:
            return answered
    if answered:
        return answered
    timeout = settings.DEPLOY_TIMEOUT.read(deployment.values)
    what = f"did not answer within {timeout:.0f} s: {_reason(process, pid)}"
    raise failure(deployment, process, what)


def wait_workers(
    deployment: Deployment, workers: Sequence[Process], *, may_finish: bool
) -> set[Process]:
    """Wait until every worker runs, and a moment more to see that it keeps running; raises
    PikuError for one that does not. Returns those that ended with exit code 0, if they may."""
    app, timeout = deployment.app, settings.DEPLOY_TIMEOUT.read(deployment.values)
    deadline = time.monotonic() + timeout
    pids: dict[Process, int] = {}
    for process in workers:
        for _ in files.poll(deadline):
            state = (emperor.observe(deployment.paths) or {}).get(process.vassal(app.name))
            pids[process] = daemon_pid(app, process, state.pid if state is not None else 0)
            if pids[process] or ending(app, process) is not None:
                break
        else:
            raise failure(deployment, process, f"did not start within {timeout:.0f} s")
    for _ in files.poll(time.monotonic() + _SETTLED, first=0.05):
        if any(ending(app, process) for process in pids):
            break
    finished: set[Process] = set()
    for process, pid in pids.items():
        if procfs.is_running(pid) and ending(app, process) is None:
            continue
        if _final_code(app, process) != 0 or not may_finish:
            what = f"{_ended(app, process)} right after it was started"
            hint = f"to run it only by hand: piku ps:scale {app.name} {process.kind}=0"
            raise failure(deployment, process, what, hint)
        finished.add(process)
    return finished


def _final_code(app: AppPaths, process: Process) -> int | None:
    """How one that runs no more has ended: its log says so a moment later."""
    for _ in files.poll(time.monotonic() + _LOGGED):
        if (code := ending(app, process)) is not None:
            return code
    return None


def wait_back(paths: Paths, app: AppPaths, chosen: Sequence[Process], timeout: float) -> None:
    """Give processes that were stopped for a release that failed the time to answer again."""
    waiting = [process for process in chosen if process.address]
    for _ in files.poll(time.monotonic() + timeout):
        running = emperor.observe(paths) or {}
        states = [(process, running.get(process.vassal(app.name))) for process in waiting]
        # One that sleeps until somebody connects is where it should be.
        waiting = [p for p, s in states if s is None or not (s.asleep or _listens(p.now(app), s))]
        if not waiting:
            return


def daemon_pid(app: AppPaths, process: Process, vassal: int) -> int:
    """The program that uWSGI, the process `vassal`, watches over; 0 when it does not run now."""
    if process.elsewhere and not process.now(app).address:
        return 0
    runner = str(process.script(app))
    for child in procfs.children(vassal) if vassal else ():
        if runner in procfs.command(child):
            program = next(iter(procfs.children(child)), 0)
            # Until it has become the app's, it is the runner's copy, or what sets it up.
            begins = procfs.command(program)
            return 0 if runner in begins or _SETTING_UP in begins else program
    return 0


def ending(app: AppPaths, process: Process) -> int | None:
    """The exit code with which it ended last by its log, even if it was started again since; -1
    for one of uWSGI's, which does not say it, and None for one that has not ended."""
    # uWSGI starts a worker that died, for one because a Java class is missing, again without end.
    mark = ini.ENDED.format(worker=process.worker)
    text = tail(process.log(app))
    lines = [line for line in text.splitlines() if line.startswith((mark, "DAMN ! worker "))]
    code = lines[-1].removeprefix(mark) if lines else None
    return None if code is None else int(code) if code.isdigit() else -1


def _ended(app: AppPaths, process: Process) -> str:
    code = ending(app, process)
    return "ended" if code in (None, -1) else f"ended with exit code {code}"


def _listens(process: Process, state: State) -> bool:
    return state.accepting if process.served else probe.accepts(process.address)


# --- evidence ------------------------------------------------------------------------------------


def _reason(process: Process, vassal: int) -> str:
    if process.served:
        return "the app is still loading"
    if process.elsewhere and not process.address:
        return "it is not running yet"
    own = f"{process.address} (its $BIND_ADDRESS and $PORT)"
    found = ports.listening(procfs.descendants(vassal)) if vassal else []
    if found and probe.accepts(process.address):
        return "it accepts connections and gives no HTTP answer (PIKU_HEALTHCHECK=tcp allows that)"
    if found:
        return f"it listens on {', '.join(found)}, not on {own}"
    return f"nothing listens on {own}"


def failure(deployment: Deployment, process: Process, what: str, fix: str = "") -> PikuError:
    """The error of a process that is not well, with the end of its log."""
    app = deployment.app
    what += "".join(ended(app, process) for ended in hooks("ended"))
    log = last_lines(process.log(app), 200)
    lines = log[-15:] or ("(it wrote nothing to its log)",)
    fixes = [fix] if fix else []
    for hook in hooks("unwell"):
        reason, remedy = hook(deployment, process, log)
        lines = (reason, "…", *lines) if reason and reason not in lines else lines
        fixes += [remedy] if remedy else []
    fixes.append(f"the whole log: piku logs {app.name} --release {deployment.release.number}")
    return PikuError(f"{process.title} {what}", detail=lines, hint="\n".join(fixes))


def last_lines(log: Path, count: int) -> tuple[str, ...]:
    """The end of a log without uWSGI's own remarks, as a terminal may get it."""
    lines = tail(log).splitlines()
    said = [line for line in lines if line.strip() and not noise.is_routine(line.encode())]
    return tuple(re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", line) for line in said[-count:])


def tail(log: Path, size: int = _TAIL) -> str:
    """The end of a log, which may be a large one."""
    try:
        with log.open("rb") as file:
            place = max(0, os.fstat(file.fileno()).st_size - size)
            return os.pread(file.fileno(), size, place).decode(errors="replace")
    except FileNotFoundError:
        return ""
