"""Runs one scheduled job of an app: `cron.py JOB MINUTE`, called by the app's uWSGI at its minutes.

It stands alone: a copy lies beside each activation's `cron.json`, so that jobs go on as they began
whatever becomes of piku itself. It is started a thousand times a day, hence few imports.

What is claimed under one lock per app stands in a file per job: the minute that was last seen to, the
run that is at work (known by process number and start, which together are never used again) and the
last one that ended. So a job runs once a minute and once at a time, whichever activation calls.

On a full disk jobs run all the same: one of them may be there to make room.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

BY_HAND = "now"  # in place of MINUTE: whatever the time is, and shown as it runs
DETACHED = "detached"  # the same, but nobody looks: a command of `piku run --detach`
# Whatever is written to a log at once has its time in front, as in the logs of daemons (serve/logmarks.py).
_STAMP = "\x1b]7331;%013d\x07"
_AT_ONCE = 8192
_PIPE = 1 << 16  # what a pipe holds


def main(words: list[str]) -> int:
    """Run the job that the words name; returns its exit code when it is run by hand."""
    job, minute = words[1:3]
    if minute in (BY_HAND, DETACHED):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        spec = json.load(sys.stdin)
        log = Log(spec, job, shown=minute == BY_HAND)
        return _run(spec, job, log) if _claim(spec, job, None) else 1
    with open(os.path.join(os.path.dirname(os.path.abspath(words[0])), "cron.json")) as file:
        spec = json.load(file)
    due = due_minute(time.time(), int(minute))
    if is_due(spec["jobs"][job], due) and _claim(spec, job, due):
        _run(spec, job, Log(spec, job))
    return 0


# --- whether -------------------------------------------------------------------------------------


def due_minute(now: float, minute: int) -> int:
    """The whole minute that uWSGI meant: the last one in which the clock showed `minute`."""
    late = (time.localtime(now).tm_min - minute) % 60
    return (int(now) // 60 - late) * 60


def is_due(job: dict[str, Any], due: int) -> bool:
    """Whether the job's schedule has this minute. uWSGI knows it only roughly."""
    local = time.localtime(due)
    by_day, by_weekday = local.tm_mday in job["days"], (local.tm_wday + 1) % 7 in job["weekdays"]
    fits = by_day or by_weekday if job["either"] else by_day and by_weekday
    on = fits and local.tm_min in job["minutes"] and local.tm_hour in job["hours"]
    return on and local.tm_mon in job["months"] and not (job["by_clock"] and _comes_again(due))


def _comes_again(due: int) -> bool:
    """Whether the clock has shown this very time before: it was set back, by an hour or so."""
    shown = time.localtime(due)[:5]
    return any(time.localtime(due - back)[:5] == shown for back in (1800, 3600, 7200))


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold the lock under which an app's jobs are claimed, a moment each; the kernel drops it in time."""
    handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _claim(spec: dict[str, Any], job: str, due: int | None) -> bool:
    """Take the run, unless it was taken for this minute, or the run before is still at work."""
    folder = spec["state"]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with locked(folder):
        state = load(folder, job)
        at_work, seen = _held(folder, job)
        if at_work:
            _skip(spec, job, "", by_hand=due is None)
        if at_work or (due is not None and seen == due):
            return False
        if due is not None:
            # What was disabled meanwhile must start nothing any more: files may go, the app may be stopped.
            if state.get("due") == due or not os.path.lexists(spec["enabled"]):
                return False
            state["due"] = due
        if before := state.get("running"):
            if is_alive(before):
                _save(folder, job, state)
                since = time.strftime("%H:%M:%S", time.localtime(before["started"]))
                _skip(spec, job, since, by_hand=due is None)
                return False
            state["last"] = lost(before)
        state["running"] = {
            "started": time.time(), "runner": identity(os.getpid()), "job": None,
            **{name: spec[name] for name in ("release", "activation", "checkout", "environment")},
        }  # fmt: skip
        if not _save(folder, job, state):
            _hold(folder, job, due)
            Log(spec, job).mark(
                "there is no room on the disk to note this run; it begins all the same"
            )
    return True


def _skip(spec: dict[str, Any], job: str, since: str, *, by_hand: bool) -> None:
    if by_hand:
        when = f", since {since}" if since else ""
        print(f" !     {job} is still running{when}: it never runs twice at once", file=sys.stderr)
    else:
        which = f"that began at {since}" if since else "before"
        Log(spec, job).mark(f"skipped: the run {which} is still at work")


# --- the run -------------------------------------------------------------------------------------


def _run(spec: dict[str, Any], job: str, log: Log) -> int:
    begun = time.time()
    log.mark(f"v{spec['release']} begins{' by hand' if log.shown else spec.get('command', '')}")
    reader, writer = os.pipe()
    pid = _start(spec, job, writer)
    os.close(writer)
    _mind_signals(pid, by_hand=log.shown)
    _update(spec, job, lambda state: state["running"].update(job=identity(pid)))
    status = _follow(reader, pid, log)
    code = status if status >= 0 else 128 - status
    how = f"ended with exit code {status}" if status >= 0 else f"was ended by signal {-status}"
    log.mark(f"v{spec['release']} {how} after {time.time() - begun:.1f} s")

    def over(state: dict[str, Any]) -> None:
        state["last"] = lost(state.pop("running")) | {"ended": time.time(), "code": code}

    _update(spec, job, over)
    if not log.shown:
        # A program that the job left behind may go on writing; the run itself is over.
        while chunk := os.read(reader, _AT_ONCE):
            log.write(chunk)
    return code


def _start(spec: dict[str, Any], job: str, output: int) -> int:
    """Start the job's command in a session of its own; returns its process number."""
    pid = os.fork()
    if pid:
        return pid
    code = 127
    try:
        os.setsid()
        for number in {*signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.chdir(spec["cwd"])
        argv = spec["jobs"][job]["argv"]
        os.execvpe(argv[0], argv, spec["env"] | spec.get("marks", {"PIKU_CRON": job}))
    except OSError as error:
        os.write(2, f"{error.filename}: {error.strerror}\n".encode(errors="surrogateescape"))
        code = 126
    finally:
        os._exit(code)


def _mind_signals(pid: int, *, by_hand: bool) -> None:
    """By hand, a request to end is the job's. Else whoever ends us ends the job as well, and we tell of it."""

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on if by_hand else signal.SIG_IGN)


def _follow(reader: int, pid: int, log: Log) -> int:
    """Log what comes until the job has ended; returns its exit code, or minus the signal that ended it."""
    ended = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    poller.register(ended, select.POLLIN)
    while True:
        ready = [handle for handle, _ in poller.poll()]
        if ended in ready:
            # A program that it left behind may write for ever: only what is there by now is the job's.
            os.set_blocking(reader, False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(_PIPE // _AT_ONCE):
                    log.write(os.read(reader, _AT_ONCE))
            os.set_blocking(reader, True)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        chunk = os.read(reader, _AT_ONCE)
        log.write(chunk)
        if not chunk:
            poller.unregister(reader)


class Log:
    """The job's log: a mark at each begin and end, and what it printed; renamed to .old by its size."""

    def __init__(self, spec: dict[str, Any], job: str, *, shown: bool = False) -> None:
        self._path = os.path.join(spec["logs"], spec.get("log") or f"{job}.1.log")
        self._most = spec["log_maxsize"]
        self._partial = False
        self.shown = shown

    def mark(self, text: str) -> None:
        """A line of ours."""
        if self._partial:
            self._keep(b"\n")
        self._keep(f"-----> {time.strftime('%Y-%m-%d %H:%M:%S %Z')} {text}\n".encode())

    def write(self, data: bytes) -> None:
        """What the job printed."""
        if self.shown:
            try:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            except OSError:  # whoever looked has gone; the job goes on
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._partial = not data.endswith(b"\n")
        data = (_STAMP % (time.time() * 1000)).encode() + data
        # A full disk, or an app that was destroyed, must not end the job.
        with contextlib.suppress(OSError):
            if os.path.exists(self._path) and os.path.getsize(self._path) + len(data) > self._most:
                os.replace(self._path, f"{self._path}.old")
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)


# --- state ---------------------------------------------------------------------------------------


def load(folder: str, job: str) -> dict[str, Any]:
    """What is known of a job's runs: "due", "running" and "last", each where there is one."""
    try:
        with open(os.path.join(folder, f"{job}.json")) as file:
            state = json.load(file)
    except (FileNotFoundError, ValueError):  # none yet, or a power cut: nothing that would matter
        return {}
    return state if isinstance(state, dict) else {}


def _save(folder: str, job: str, state: dict[str, Any]) -> bool:
    """Replace what is known of a job. On a full disk it goes where the old is, if it has room there;
    returns whether it is kept."""
    place, temporary = (
        os.path.join(folder, name) for name in (f"{job}.json", f".{job}.{os.getpid()}.tmp")
    )
    text = json.dumps(state)
    try:
        with open(temporary, "w") as file:
            file.write(text)
        os.replace(temporary, place)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        return _overwrite(place, text.encode())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_hold_file(folder, job))
    return True


def _overwrite(place: str, data: bytes) -> bool:
    try:
        handle = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.posix_fallocate(handle, 0, len(data))  # fails before anything is lost
        return os.pwrite(handle, data.ljust(os.fstat(handle).st_size), 0) >= len(data)
    except OSError:
        return False
    finally:
        os.close(handle)


# What cannot be noted is told by an empty file: its lock says that a run is at work, its time which minute
# was seen to.


def _hold_file(folder: str, job: str) -> str:
    return os.path.join(folder, f"{job}.held")


def _hold(folder: str, job: str, due: int | None) -> None:
    """Hold the job until this runner ends."""
    with contextlib.suppress(
        OSError
    ):  # not even for that is there room: the job's work matters more
        handle = os.open(_hold_file(folder, job), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if due is not None:
            os.utime(handle, (due, due))


def _held(folder: str, job: str) -> tuple[bool, float]:
    """Whether a run of which nothing could be noted is at work, and which minute was seen to."""
    try:
        handle = os.open(_hold_file(folder, job), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False, 0
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False, os.fstat(handle).st_mtime
    except BlockingIOError:
        return True, 0
    finally:
        os.close(handle)


def _update(spec: dict[str, Any], job: str, change: Any) -> None:
    with contextlib.suppress(OSError), locked(spec["state"]):  # the app may be destroyed by now
        state = load(spec["state"], job)
        if (state.get("running") or {}).get("runner") == identity(os.getpid()):
            change(state)
            _save(spec["state"], job, state)


def lost(run: dict[str, Any]) -> dict[str, Any]:
    """A run whose end nobody saw: it was killed together with who looked after it."""
    return {"started": run["started"], "ended": None, "code": None, "release": run["release"]}


def identity(pid: int) -> list[Any]:
    """What tells a process from every other, before and after it, also of another boot."""
    return [pid, _since(pid), _read("/proc/sys/kernel/random/boot_id").strip()]


def is_alive(run: dict[str, Any]) -> bool:
    """Whether the run is at work: its program, or who looks after it."""
    return any(
        who is not None and who == identity(who[0]) and who[1]
        for who in (run["job"], run["runner"])
    )


def _since(pid: int) -> str:
    """When the process started, in ticks since the boot; nothing when it has ended (proc(5), field 22)."""
    words = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return words[19] if len(words) > 19 and words[0] not in "ZX" else ""


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv))
