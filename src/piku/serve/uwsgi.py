"""uWSGI configuration: ordered pairs to ini, through one renderer that quotes.

Pure. Options are those of the uWSGI 2.0 documentation; `strict` makes unknown ones an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from piku.errors import PikuError

Pairs = Iterable[tuple[str, str]]

# The fields that the specification lists under "Log Formats", in its order.
LOG_FORMAT = (
    '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size)'
    ' "%(referer)" "%(uagent)" %(msecs)ms'
)


class Magic(str):
    """Text of ours whose `%` is meant for uWSGI; what a user gave is never Magic."""


def render(pairs: Pairs) -> str:
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


@dataclass(frozen=True, kw_only=True)
class Vassal:
    """What every process of an app shares."""

    checkout: str
    envdir: str
    log: str
    log_backup: str
    log_maxsize: int
    stop_timeout: int


@dataclass(frozen=True, kw_only=True)
class Wsgi:
    """A Python application that uWSGI serves itself."""

    module: str
    plugin: str
    virtualenv: str
    address: str  # a socket's path, or ADDRESS:PORT when nginx does not stand in front
    processes: int
    threads: int
    listen: int
    max_requests: int
    enable_threads: bool


def wsgi(vassal: Vassal, wsgi: Wsgi) -> str:
    """The ini of a `wsgi` process."""
    behind_nginx = wsgi.address.startswith("/")
    return render(
        [
            *_common(vassal),
            ("plugins", wsgi.plugin),
            *((("virtualenv", wsgi.virtualenv),) if wsgi.virtualenv else ()),
            ("module", wsgi.module),
            ("need-app", "true"),
            ("single-interpreter", "true"),
            ("processes", str(wsgi.processes)),
            ("threads", str(wsgi.threads)),
            ("enable-threads", "true" if wsgi.enable_threads else "false"),
            ("max-requests", str(wsgi.max_requests)),
            ("listen", str(wsgi.listen)),
            ("buffer-size", "32768"),
            ("worker-reload-mercy", str(vassal.stop_timeout)),
            ("vacuum", "true"),
            (("socket" if behind_nginx else "http-socket"), wsgi.address),
            *((("chmod-socket", "664"),) if behind_nginx else ()),
            ("log-format", Magic(LOG_FORMAT)),
        ]
    )


def daemon(vassal: Vassal, runner: str) -> str:
    """The ini of any other process: uWSGI only watches over it, with no workers of its own."""
    return render(
        [
            *_common(vassal),
            ("processes", "0"),
            ("reload-mercy", str(vassal.stop_timeout)),
            # Without `exec` a shell would stay between, and orphan the program when uWSGI is killed.
            ("attach-daemon", f"exec /bin/sh {shlex.quote(runner)}"),
        ]
    )


def _common(vassal: Vassal) -> Pairs:
    return (
        ("strict", "true"),
        ("master", "true"),
        ("die-on-term", "true"),
        ("chdir", vassal.checkout),
        ("envdir", vassal.envdir),
        ("logto", vassal.log),
        ("log-maxsize", str(vassal.log_maxsize)),
        ("log-backupname", vassal.log_backup),
        ("logfile-chmod", "640"),
    )


def runner(argv: Iterable[str], starts: str) -> str:
    """The script that a daemon vassal executes: it notes each start, then becomes the program."""
    return f"echo $$ >>{shlex.quote(starts)}\nexec {shlex.join(argv)}\n"


def emperor(enabled: str, stats: str, pidfile: str, log: str) -> str:
    """The emperor's ini. It has no master: a signal or a connection to its statistics wakes it."""
    return render(
        [
            ("strict", "true"),
            ("emperor", f"dir://{enabled}"),
            ("emperor-stats", stats),
            ("pidfile", pidfile),
            ("die-on-term", "true"),
            ("logto", log),
            ("log-maxsize", "1048576"),
            ("log-backupname", f"{log}.old"),
            ("logfile-chmod", "640"),
        ]
    )
