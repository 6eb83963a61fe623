"""uWSGI configuration: ordered pairs to ini, through one renderer that quotes.

Options are those of the uWSGI 2.0 documentation; `strict` makes unknown ones an error.
"""

import re
import shlex
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from piku.app import settings
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import TEMPLATES, Paths

# The ending of a file that names the socket of a vassal that sleeps until somebody connects.
DEMAND = ".demand"
Pairs = tuple[tuple[str, str | Path], ...]

# The fields that the specification lists under "Log Formats", in its order.
LOG_FORMAT = (
    '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size)'
    ' "%(referer)" "%(uagent)" %(msecs)ms'
)
# The first byte of a request says which plugin answers (uWSGI documentation, "The uwsgi Protocol").
MODIFIERS = {"wsgi": 0, "rwsgi": 7, "jwsgi": 8, "php": 14}
# How the line begins that a daemon's runner logs when its program ends by itself.
ENDED = "[piku] {worker} ended with exit code "


def render(pairs: Iterable[tuple[str, str | Path]]) -> str:
    """The ini text of a vassal or the emperor; an option without a value is left out. A Path is a
    file with the value of the variable that it is named after."""
    lines = (f"{key} = {_escaped(value)}\n" for key, value in pairs if value)
    return "[uwsgi]\n" + "".join(lines)


def _escaped(value: str | Path) -> str:
    if isinstance(value, Path):
        return f"{value.name}=@({_escaped(str(value))})"
    # `$(` and `@(` are expanded and nothing escapes them; a final `%` swallows the next line.
    bad = re.search(r"[\x00-\x1f\x7f]|\$\(|@\(|%$|^\s|\s$", value)
    if bad:
        raise PikuError(f"{value[:80]!r} cannot be given to uWSGI: it contains {bad[0]!r}")
    return value.replace("%", "%%")


@dataclass(frozen=True, kw_only=True)
class Vassal:
    """What every process of an app shares; `values` are the app's settings."""

    values: Mapping[str, str]
    checkout: str
    envdir: str
    log: str
    options: Pairs = ()
    include: str = ""  # a file of the app's own options


def served(
    vassal: Vassal, kind: str, language: Pairs, *, address: str, threads: int, listen: int
) -> str:
    """The ini of a process that uWSGI serves itself.

    `language` are the options of its plugin; `address` is a socket's path, or ADDRESS:PORT when
    nginx is not in front; `threads` is 0 where something else than threads shares a worker process.
    """
    values = vassal.values
    return render(
        [
            *_common(vassal),
            *language,
            ("processes", str(settings.PROCESSES.read(values))),
            ("threads", str(threads or "")),
            ("enable-threads", str(settings.ENABLE_THREADS.read(values)).lower()),
            ("max-requests", str(settings.MAX_REQUESTS.read(values))),
            ("listen", str(listen)),
            # The most that the protocol allows for a request's headers, and as many as nginx does.
            ("buffer-size", "65535"),
            ("max-vars", "520"),
            # The body is read before the app is asked: one that answers without reading it would
            # close the connection, and its answer be lost. What is longer goes to a file.
            ("post-buffering", "65536"),
            ("worker-reload-mercy", str(settings.STOP_TIMEOUT.read(values))),
            *_listening(address, MODIFIERS[kind], settings.IDLE.read(values)),
            ("log-x-forwarded-for", "true" if settings.LOG_X_FORWARDED_FOR.read(values) else ""),
            ("log-format", LOG_FORMAT),
            *vassal.options,
            ("include", vassal.include),
        ]
    )


def _listening(address: str, modifier: int, idle_seconds: int) -> Pairs:
    if not address.startswith("/"):
        number = ("http-socket-modifier1", str(modifier or ""))
        # Here uWSGI cannot hand on a body that does not say its length first.
        refused = ("route-if-not", "empty:${HTTP_TRANSFER_ENCODING} break:411 Length Required")
        return (("vacuum", "true"), ("http-socket", address), number, refused)
    if idle_seconds:
        # The emperor hands over the socket, with the first request, and keeps it.
        return idle(idle_seconds)
    return (("vacuum", "true"), ("socket", address), ("chmod-socket", "664"))


def idle(seconds: int) -> Pairs:
    """Options with which a vassal on demand ends when nobody has asked for so long. A request that
    it has begun by then is finished: without the hook uWSGI would drop it."""
    return (
        ("cheap", "true"),
        ("idle", str(seconds)),
        ("die-on-idle", "true"),
        ("hook-emperor-stop", "callint:gracefully_kill_them_all 0"),
    )


def daemon(vassal: Vassal, runner: str) -> str:
    """The ini of any other process: uWSGI only watches over it, with no workers of its own."""
    command = f"exec /usr/bin/setpriv --pdeathsig KILL -- /bin/sh {shlex.quote(runner)}"
    # Without `exec` a shell would stay in between, and orphan the runner when uWSGI is killed.
    attached = f"stopsignal={signal.SIGCONT:d},exec={command.replace(',', chr(92) + ',')}"
    return render(
        [
            *_common(vassal),
            ("processes", "0"),
            ("reload-mercy", str(settings.STOP_TIMEOUT.read(vassal.values))),
            ("attach-daemon2", attached),
            *vassal.options,
            ("include", vassal.include),
        ]
    )


def scheduler(vassal: Vassal, lines: Pairs) -> str:
    """The ini of the vassal that starts an app's scheduled jobs; `lines` say when."""
    return render([*_common(vassal), ("processes", "0"), *vassal.options, *lines])


def _common(vassal: Vassal) -> Pairs:
    return (
        ("strict", "true"),
        ("master", "true"),
        ("die-on-term", "true"),
        ("chdir", vassal.checkout),
        ("envdir", vassal.envdir),
        *log(vassal.log, settings.LOG_MAXSIZE.read(vassal.values)),
        # uWSGI's log pipe does not block: a program that prints some 280 lines at once gets an
        # error for the next. F_SETFL (4) without O_NONBLOCK makes it wait; then a thread must empty
        # the pipe, for the master writes to it as well. Were it no stream, what a program writes at
        # once would be cut after 8192 bytes.
        ("threaded-logger", "true"),
        ("log-master-stream", "true"),
        ("exec-pre-app", "/usr/bin/env -i /usr/bin/perl -e 'fcntl(STDOUT, 4, 2)'"),
    )


def log(path: str, maxsize: int) -> Pairs:
    """Options that keep a log, which is renamed to `.old` at `maxsize` bytes."""
    return (
        ("logto", path),
        ("log-maxsize", str(maxsize)),
        ("log-backupname", f"{path}.old"),
        ("logfile-chmod", "640"),
    )


def runner(argv: Iterable[str], worker: str) -> str:
    """The script that a daemon vassal executes."""
    script = (TEMPLATES / "daemon.sh").read_text()
    script = script.replace("@ENDED@", ENDED.format(worker=worker))
    return script.replace("@PROGRAM@", shlex.join(argv))


def emperor(paths: Paths) -> str:
    """The emperor's ini. It has no master, which would take the signals that wake the emperor."""
    return render(
        [
            ("strict", "true"),
            ("emperor", f"dir://{paths.enabled}"),
            ("emperor-stats", str(paths.emperor_stats)),
            # A vassal with such a file beside it starts when somebody connects to the socket it
            # names.
            ("emperor-on-demand-extension", DEMAND),
            # Seconds until the emperor sees that one has gone to sleep, and hears its socket again.
            ("emperor-freq", "1"),
            # Seconds that a vassal may take to stop: PIKU_STOP_TIMEOUT may be an hour.
            ("emperor-curse-tolerance", "3630"),
            # Milliseconds: the longest pause between attempts with a vassal that keeps failing.
            ("emperor-max-throttle", "30000"),
            ("pidfile", str(paths.emperor_pid)),
            ("die-on-term", "true"),
            ("logto", str(paths.emperor_log)),
            ("logfile-chmod", "640"),
            *(pair for hook in hooks("emperor") for pair in hook(paths)),
        ]
    )
