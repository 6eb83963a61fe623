"""The servers of databases: vassals of the emperor, there as long as there is a database."""

import contextlib
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping

from piku import files, subprocesses
from piku.deploy import live_sites
from piku.errors import PikuError
from piku.extras.databases import base
from piku.extras.databases.base import Daemon, Database
from piku.extras.databases.kind import Kind
from piku.extras.databases.redis import Redis
from piku.extras.databases.sql import MariaDB, Postgres, Sqlite
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.uwsgi import emperor, housekeeping

KINDS: Mapping[str, type[Kind]] = {kind.name: kind for kind in (Postgres, Redis, MariaDB, Sqlite)}
_START = 60  # seconds that a server may take, such as after a power cut
_STOP = "60"  # seconds that it may take to write what it has in memory; systemd gives it 90


def bound(paths: Paths, one: Database) -> Kind:
    """The row of a database; raises PikuError for one of another version of piku."""
    if one.kind not in KINDS:
        raise PikuError(f"this version of piku knows no databases called {one.kind!r}")
    return KINDS[one.kind](paths, one)


def vassals(paths: Paths) -> Mapping[str, str]:
    """The ini of each server that a database needs."""
    found = {}
    databases, whole = base.everything(paths)
    for one in databases:
        try:
            if daemon := bound(paths, one).daemon():
                found[_vassal(daemon)] = _ini(paths, daemon)
        except PikuError:
            whole = False
    if not whole:  # what cannot be read is not gone: its server goes on
        for path in paths.enabled.glob(f"{SEPARATOR}*.ini"):
            if re.split(r"\W", path.name)[1] in KINDS and (text := files.read(path)):
                found.setdefault(path.name, text)
    return found


def _ini(paths: Paths, daemon: Daemon) -> str:
    argv = [str(subprocesses.which(daemon.argv[0]) or daemon.argv[0]), *daemon.argv[1:]]
    command = f"exec /usr/bin/setpriv --pdeathsig {daemon.orphaned} -- {shlex.join(argv)}"
    # A comma would end the value.
    attached = f"stopsignal={daemon.stop:d},exec={command.replace(',', chr(92) + ',')}"
    options = (("processes", "0"), ("env", f"PATH={subprocesses.SYSTEM_PATH}"),
               ("reload-mercy", _STOP), ("attach-daemon2", attached))  # fmt: skip
    return housekeeping.vassal(paths, daemon.name, options)


def _vassal(daemon: Daemon) -> str:
    return f"{SEPARATOR}{daemon.name}.ini"


def starting(paths: Paths) -> None:
    Postgres(paths, Database(kind="", name="", variable="")).forget_dead()


def destroyed(_paths: Paths, app: AppPaths) -> None:
    """Keep the databases of the app, as its data is kept."""
    base.keep(app)
    for one in base.of(app):
        what = f"its {one.kind} database ({one.kind}:destroy {app.name} removes it)"
        Output(sys.stdout).detail(f"Kept: {what}")


def visible(app: AppPaths, values: Mapping[str, str]) -> Iterator[str]:
    """The sockets that an app with these settings needs inside walls: of each database of which it
    knows the whole address."""
    paths = Paths(root=app.root, home=app.root)
    for one in base.everything(paths)[0]:
        with contextlib.suppress(PikuError):
            kind = bound(paths, one)
            if kind.url in values.values():
                yield str(kind.visible)


def start(kind: Kind) -> None:
    """Have the server of this database run, and wait until it answers; raises PikuError."""
    if not any(map(subprocesses.which, kind.programs)):
        hint = f"as root: apt-get install --no-install-recommends {kind.package}"
        raise PikuError(f"this server lacks {kind.title}", hint=hint)
    log, daemon = "", kind.daemon()
    # One whose vassal is not there is about to end.
    if kind.is_ready() and (not daemon or (kind.paths.enabled / _vassal(daemon)).exists()):
        return
    if kind.user and not kind.administrator.socket and not emperor.is_running(kind.paths):
        hint = "start it: piku up, or systemctl start piku-emperor"
        raise PikuError(f"piku does not run on this server, so {kind.title} is down", hint=hint)
    kind.prepare()
    if daemon := kind.daemon():
        log = f"; its log: {kind.paths.uwsgi}/{daemon.name}.log"
        live_sites.update(kind.paths)
    for _ in files.poll(time.monotonic() + (_START if daemon else 5), most=0.3):
        if kind.is_ready():
            return
    raise PikuError(f"the server of {kind.title} does not answer", hint=f"try again{log}")
