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
from piku.operate import log_timestamps

# The ending of a file that names the socket of a vassal that sleeps.
DEMAND = ".demand"
Pairs = tuple[tuple[str, str], ...]

# The fields that the specification lists under "Log Formats", in its order.
LOG_FORMAT = (
    '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size)'
    ' "%(referer)" "%(uagent)" %(msecs)ms'
)


class Magic(str):
    """Text of ours whose `%` is meant for uWSGI; what a user gave is never Magic."""


def render(pairs: Iterable[tuple[str, str]]) -> str:
    """The ini text of a vassal or the emperor."""
    return "[uwsgi]\n" + "".join(f"{key} = {_escaped(value)}\n" for key, value in pairs)


def _escaped(value: str) -> str:
    if isinstance(value, Magic):
        return value
    # `$(`, `@(` are expanded and nothing escapes them; a final `%` swallows the next line.
    bad = re.search(r"[\x00-\x1f\x7f]|\$\(|@\(|%$|^\s|\s$", value)
    if bad:
        raise PikuError(f"{value[:80]!r} cannot be given to uWSGI: it contains {bad[0]!r}")
    return value.replace("%", "%%")


# The emperor starts a vassal later and later when the ones of that name before were not loyal: they never
# answered a request, which this kind does not. So it says that it is, as uWSGI would after the first one.
_LOYAL = r'; open(EMPEROR, ">&=$ENV{UWSGI_EMPEROR_FD}"); syswrite(EMPEROR, "\21")'


# What a worker has run that is about to answer the first request: how long ago its master began. It does not
# wait for that. (proc(5): a hundredth of a second is the unit of both; the parent is field 4, the begin 22.)
_WOKEN = (
    r"""perl -e 'sub f { open F, "/proc/@_/stat"; <F> =~ /.*\)(.*)/; split " ", $1 } open U, "/proc/uptime"; """
    r"""$up = <U>; printf "[piku] woken by a request, ready after %.2f s\n", """
    r"""$up - (f((f(shift))[1]))[19] / 100' $PPID &"""
)


@dataclass(frozen=True, kw_only=True)
class Vassal:
    """What every process of an app shares."""

    checkout: str
    envdir: str
    log: str
    log_backup: str
    log_maxsize: int
    stop_timeout: int
    exact: Mapping[str, str]  # variables that envdir would change
    include: str = ""  # a file of the app's own options
    # Shell commands that put the process $PPID under the app's limits, and tell of whom they killed.
    join: str = ""
    tell: str = ""


@dataclass(frozen=True, kw_only=True)
class Served:
    """An application that uWSGI serves itself; `language` are the options of its plugin."""

    language: tuple[tuple[str, str], ...]
    address: str  # a socket's path, or ADDRESS:PORT when nginx does not stand in front
    modifier: int
    processes: int
    threads: int  # 0 where something else than threads shares a worker process
    listen: int
    max_requests: int
    enable_threads: bool
    log_forwarded_for: bool = (
        False  # the client's address is what X-Forwarded-For says, if it is sent
    )
    idle: int = 0  # seconds until it sleeps, on a socket that the emperor then holds


# The first byte of a request says which plugin answers (uWSGI documentation, "The uwsgi Protocol").
MODIFIERS = {"wsgi": 0, "rwsgi": 7, "jwsgi": 8, "php": 14}


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
            *_limited(vassal),
            *_included(vassal),
        ]
    )


def _listening(app: Served) -> Pairs:
    if not app.address.startswith("/"):
        modifier = (("http-socket-modifier1", str(app.modifier)),) if app.modifier else ()
        return (("vacuum", "true"), ("http-socket", app.address), *modifier)
    if app.idle:
        # The emperor hands over the socket, with the first request, and keeps it.
        rests = (("cheap", "true"), ("idle", str(app.idle)), ("die-on-idle", "true"))
        return (*rests, ("hook-accepting1-once", f"exec:{_WOKEN}"))
    return (("vacuum", "true"), ("socket", app.address), ("chmod-socket", "664"))


def _limited(vassal: Vassal) -> Pairs:
    # The first thing that it does: workers, and what the app starts, are born there. A worker that
    # was killed is replaced without another start.
    joins = joining(vassal.join)
    return (*joins, ("hook-post-fork", f"exec:{vassal.tell}")) if joins else ()


def joining(command: str) -> Pairs:
    """Options that have uWSGI run a command before anything else."""
    return (("hook-asap", f"exec:{command}"),) if command else ()


def _included(vassal: Vassal) -> Pairs:
    return (("include", vassal.include),) if vassal.include else ()


def daemon(vassal: Vassal, runner: str) -> str:
    """The ini of any other process: uWSGI only watches over it, with no workers of its own."""
    command = f"exec setpriv --pdeathsig KILL -- /bin/sh {shlex.quote(runner)}"
    return render(
        [
            *_common(vassal, also=_LOYAL),
            ("log-encoder", Magic(log_timestamps.ENCODER)),
            ("processes", "0"),
            ("reload-mercy", str(vassal.stop_timeout)),
            # Without `exec` a shell would stay between, and orphan the runner when uWSGI is killed.
            (
                "attach-daemon2",
                f"stopsignal={signal.SIGCONT:d},exec={command.replace(',', chr(92) + ',')}",
            ),
            *_included(vassal),
        ]
    )


def _common(vassal: Vassal, *, also: str = "") -> Pairs:
    return (
        ("strict", "true"),
        ("master", "true"),
        ("die-on-term", "true"),
        ("chdir", vassal.checkout),
        ("envdir", vassal.envdir),
        *_exactly(vassal.exact),
        ("logto", vassal.log),
        ("log-maxsize", str(vassal.log_maxsize)),
        ("log-backupname", vassal.log_backup),
        ("logfile-chmod", "640"),
        # uWSGI's log pipe does not block: a program that prints some 280 lines at once gets an error for
        # the next. F_SETFL (4) without O_NONBLOCK makes it wait; then a thread must empty the pipe, for
        # the master writes to it as well. Were it no stream, what a program writes at once would be cut
        # after 8192 bytes, and from 200 KB on be an error.
        ("threaded-logger", "true"),
        ("log-master-stream", "true"),
        ("exec-pre-app", f"perl -e 'fcntl(STDOUT, 4, 2){also}'"),
    )


def envdir_changes(value: str) -> bool:
    """Whether uWSGI drops this value from an envdir (an empty one) or shortens it (blanks at its end)."""
    return not value or value[-1] in " \t"


def _exactly(variables: Mapping[str, str]) -> Pairs:
    """Variables with exactly these values: nothing, in place of %(end), keeps the blanks in front of it, and
    `$(` and `@(` from being expanded."""
    if not variables:
        return ()
    for name, value in variables.items():
        if "%(" in value:
            raise PikuError(f"the value of {name} holds '%(', and ends with a blank")
    pairs = (
        (name, re.sub(r"([$@])\(", r"\1%(end)(", value.replace("%", "%%")))
        for name, value in variables.items()
    )
    return (
        ("set-placeholder", "end="),
        *(("env", Magic(f"{name}={value}%(end)")) for name, value in pairs),
    )


# A program that is a uWSGI of its own would take the first variable for its emperor. The program dies
# with this shell, and the shell with uWSGI: no orphan keeps a port. uWSGI repeats the signal that ends a
# daemon every second, and to many a program a second SIGTERM means to drop everything: what comes from
# uWSGI is SIGCONT, which hurts nobody, and of that the shell makes one SIGTERM for all of the group. It
# waits for the program, so that its exit code is known. It has no variables: they could be the app's.
_RUNNER = """\
unset UWSGI_EMPEROR_FD
set -- {notes}
{join}trap : TERM CONT
/usr/bin/env --default-signal=INT,QUIT setpriv --pdeathsig KILL -- \\
    sh -c 'echo "start $$ $(date +%s)" >>"$0"; exec "$@"' "$1" {program} &
trap 'trap : CONT; kill -TERM 0' CONT
set -- "$1" $!
while wait "$2"; set -- "$1" "$2" $?; kill -0 "$2" 2>/dev/null; do :; done
echo "end $3 $(date +%s)" >>"$1"
exit $3
"""


def runner(argv: Iterable[str], notes: str, join: str = "") -> str:
    """The script that a daemon vassal executes: it runs the program, and notes each start and end."""
    line = f"{join}\n" if join else ""
    return _RUNNER.format(notes=shlex.quote(notes), program=shlex.join(argv), join=line)


def emperor(enabled: str, stats: str, pidfile: str, log: str) -> str:
    """The emperor's ini. It has no master, which would take the signals that are to wake the emperor, and
    so does not rotate its own log: `log-maxsize` alone makes uWSGI start one."""
    return render(
        [
            ("strict", "true"),
            ("emperor", f"dir://{enabled}"),
            ("emperor-stats", stats),
            # A vassal with such a file beside it starts when somebody connects to the socket it names.
            ("emperor-on-demand-extension", DEMAND),
            # How soon the emperor sees that one has gone to sleep, and hears its socket again.
            ("emperor-freq", "1"),
            # In seconds: how long a vassal may take to stop. PIKU_STOP_TIMEOUT may be an hour; within that, what
            # waits for a process kills it, and the upkeep what nobody waits for.
            ("emperor-curse-tolerance", "3630"),
            # In milliseconds: the longest pause before another attempt with a vassal that keeps failing.
            ("emperor-max-throttle", "30000"),
            ("pidfile", pidfile),
            ("die-on-term", "true"),
            ("logto", log),
            ("logfile-chmod", "640"),
        ]
    )
