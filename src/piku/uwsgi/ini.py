"""uWSGI configuration: ordered pairs to ini, through one renderer that quotes.

Pure. Options are those of the uWSGI 2.0 documentation; `strict` makes unknown ones an error.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from piku.errors import PikuError

# The ending of a file that names the socket of a vassal that sleeps until somebody connects.
DEMAND = ".demand"
Pairs = tuple[tuple[str, str], ...]

# The fields that the specification lists under "Log Formats", in its order.
LOG_FORMAT = (
    '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size)'
    ' "%(referer)" "%(uagent)" %(msecs)ms'
)
# The first byte of a request says which plugin answers (uWSGI documentation, "The uwsgi Protocol").
MODIFIERS = {"wsgi": 0, "rwsgi": 7, "jwsgi": 8, "php": 14}
# How the line begins that a daemon's runner logs when its program ends by itself.
ENDED = "[piku] {worker} ended with exit code "


class Magic(str):
    """Text of ours whose `%` is meant for uWSGI; what a user gave is never Magic."""


def render(pairs: Iterable[tuple[str, str]]) -> str:
    """The ini text of a vassal or the emperor."""
    return "[uwsgi]\n" + "".join(f"{key} = {_escaped(value)}\n" for key, value in pairs)


def _escaped(value: str) -> str:
    if isinstance(value, Magic):
        return value
    # `$(` and `@(` are expanded and nothing escapes them; a final `%` swallows the next line.
    bad = re.search(r"[\x00-\x1f\x7f]|\$\(|@\(|%$|^\s|\s$", value)
    if bad:
        raise PikuError(f"{value[:80]!r} cannot be given to uWSGI: it contains {bad[0]!r}")
    return value.replace("%", "%%")


@dataclass(frozen=True, kw_only=True)
class Vassal:
    """What every process of an app shares."""

    checkout: str
    envdir: str
    log: str
    log_maxsize: int
    stop_timeout: int
    exact: Mapping[str, str]  # variables that envdir would change
    options: Pairs = ()  # of extras
    include: str = ""  # a file of the app's own options


@dataclass(frozen=True, kw_only=True)
class Served:
    """An application that uWSGI serves itself; `language` are the options of its plugin."""

    language: Pairs
    address: str  # a socket's path, or ADDRESS:PORT when nginx is not in front
    modifier: int
    processes: int
    threads: int  # 0 where something else than threads shares a worker process
    listen: int
    max_requests: int
    enable_threads: bool
    log_forwarded_for: bool = False  # log the client that X-Forwarded-For names
    idle: int = 0  # seconds until it sleeps, on a socket that the emperor then holds


def served(vassal: Vassal, app: Served) -> str:
    """The ini of a process that uWSGI serves itself."""
    return render(
        [
            *_common(vassal),
            *app.language,
            ("processes", str(app.processes)),
            *((("threads", str(app.threads)),) if app.threads else ()),
            ("enable-threads", "true" if app.enable_threads else "false"),
            ("max-requests", str(app.max_requests)),
            ("listen", str(app.listen)),
            ("buffer-size", "32768"),
            ("worker-reload-mercy", str(vassal.stop_timeout)),
            *_listening(app),
            *((("log-x-forwarded-for", "true"),) if app.log_forwarded_for else ()),
            ("log-format", Magic(LOG_FORMAT)),
            *_added(vassal),
        ]
    )


def _listening(app: Served) -> Pairs:
    if not app.address.startswith("/"):
        modifier = (("http-socket-modifier1", str(app.modifier)),) if app.modifier else ()
        return (("vacuum", "true"), ("http-socket", app.address), *modifier)
    if app.idle:
        # The emperor hands over the socket, with the first request, and keeps it.
        return idle(app.idle)
    return (("vacuum", "true"), ("socket", app.address), ("chmod-socket", "664"))


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
    command = f"exec setpriv --pdeathsig KILL -- /bin/sh {shlex.quote(runner)}"
    # Without `exec` a shell would stay in between, and orphan the runner when uWSGI is killed.
    attached = f"stopsignal={signal.SIGCONT:d},exec={command.replace(',', chr(92) + ',')}"
    return render(
        [
            *_common(vassal),
            ("processes", "0"),
            ("reload-mercy", str(vassal.stop_timeout)),
            ("attach-daemon2", attached),
            *_added(vassal),
        ]
    )


def scheduler(vassal: Vassal, lines: Pairs) -> str:
    """The ini of the vassal that starts an app's scheduled jobs; `lines` say when."""
    return render([*_common(vassal), ("processes", "0"), *vassal.options, *lines])


def _added(vassal: Vassal) -> Pairs:
    return (*vassal.options, *((("include", vassal.include),) if vassal.include else ()))


def _common(vassal: Vassal) -> Pairs:
    return (
        ("strict", "true"),
        ("master", "true"),
        ("die-on-term", "true"),
        ("chdir", vassal.checkout),
        ("envdir", vassal.envdir),
        *_exactly(vassal.exact),
        ("logto", vassal.log),
        ("log-maxsize", str(vassal.log_maxsize)),
        ("log-backupname", f"{vassal.log}.old"),
        ("logfile-chmod", "640"),
        # uWSGI's log pipe does not block: a program that prints some 280 lines at once gets an
        # error for the next. F_SETFL (4) without O_NONBLOCK makes it wait; then a thread must empty
        # the pipe, for the master writes to it as well. Were it no stream, what a program writes at
        # once would be cut after 8192 bytes.
        ("threaded-logger", "true"),
        ("log-master-stream", "true"),
        ("exec-pre-app", "perl -e 'fcntl(STDOUT, 4, 2)'"),
    )


def envdir_changes(value: str) -> bool:
    """Whether uWSGI drops this value from an envdir (if empty) or cuts the blanks at its end."""
    return not value or value[-1] in " \t"


def _exactly(variables: Mapping[str, str]) -> Pairs:
    """Variables with exactly these values: nothing, in place of %(end), keeps the blanks in front
    of it, and `$(` and `@(` from being expanded."""
    if not variables:
        return ()
    pairs = []
    for name, value in variables.items():
        if "%(" in value:
            raise PikuError(f"the value of {name} holds '%(', and ends with a blank")
        quoted = re.sub(r"([$@])\(", r"\1%(end)(", value.replace("%", "%%"))
        pairs.append(("env", Magic(f"{name}={quoted}%(end)")))
    return (("set-placeholder", "end="), *pairs)


# A program that is a uWSGI of its own would take the first variable for its emperor. uWSGI repeats
# the signal that stops a daemon every second, and to many programs a second SIGTERM means to drop
# everything: so it sends SIGCONT, which hurts nobody, and the shell makes one SIGTERM of that for
# the whole group. It waits for the program, to log its exit code. The program dies with the shell,
# and the shell with uWSGI.
_RUNNER = """\
unset UWSGI_EMPEROR_FD
trap : TERM CONT
/usr/bin/env --default-signal=INT,QUIT setpriv --pdeathsig KILL -- {program} &
set -- $!
trap 'trap : CONT; set -- "$1" stopping; kill -TERM 0' CONT
while wait "$1"; set -- "$1" "${{2-}}" $?; kill -0 "$1" 2>/dev/null; do :; done
[ "$2" ] || echo "{ended}$3"
exit $3
"""


def runner(argv: Iterable[str], worker: str) -> str:
    """The script that a daemon vassal executes."""
    return _RUNNER.format(program=shlex.join(argv), ended=ENDED.format(worker=worker))


def emperor(enabled: str, stats: str, pidfile: str, log: str) -> str:
    """The emperor's ini. It has no master, which would take the signals that wake the emperor."""
    return render(
        [
            ("strict", "true"),
            ("emperor", f"dir://{enabled}"),
            ("emperor-stats", stats),
            # A vassal with such a file beside it starts when somebody connects to the socket it
            # names.
            ("emperor-on-demand-extension", DEMAND),
            # Seconds until the emperor sees that one has gone to sleep, and hears its socket again.
            ("emperor-freq", "1"),
            # Seconds that a vassal may take to stop: PIKU_STOP_TIMEOUT may be an hour.
            ("emperor-curse-tolerance", "3630"),
            # Milliseconds: the longest pause before another attempt with a vassal that keeps
            # failing.
            ("emperor-max-throttle", "30000"),
            ("pidfile", pidfile),
            ("die-on-term", "true"),
            ("logto", log),
            ("logfile-chmod", "640"),
        ]
    )
