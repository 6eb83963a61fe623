"""The platform's own vassals, each there only while a live site needs it.

`@upkeep` has certificates renewed and logs rotated: at its start, every five minutes, and the
former within a second after somebody asked for it. `@doze` puts idle `web` apps to sleep, and `@waker`
wakes them: it sleeps as well, until nginx connects to its socket. The first two cost 2 MB each. `@drain`
sends copies of logs to receivers elsewhere.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.nginx.site import Site
from piku.paths import SEPARATOR, Paths
from piku.uwsgi import emperor, ini

# No app's vassal can have such a name.
UPKEEP, DOZE, WAKER, DRAIN = (
    f"{SEPARATOR}{name}.ini" for name in ("upkeep", "doze", "waker", "drain")
)
_REQUEST = "upkeep.request"


def configs(paths: Paths, calling: Sequence[str], package: Path) -> dict[Path, str]:
    """The files of all of them; `calling` is how this piku is called, `package` where it is imported from."""
    return {
        paths.available / UPKEEP: _upkeep(paths, calling),
        paths.available / DOZE: _doze(paths, calling),
        paths.available / WAKER: _waker(paths, package),
        paths.available / DRAIN: _drain(paths, package),
        paths.available / f"{WAKER}{ini.DEMAND}": str(paths.waker),
    }


def follow(paths: Paths, sites: Collection[Site], *, drains: bool = False) -> None:
    """Have the emperor run those that these sites need, and no other; `drains` says whether somebody is
    to get a copy of a log."""
    idle = any(site.sleeps for site in sites)
    needed = {UPKEEP: bool(sites), DOZE: idle, WAKER: idle, DRAIN: drains}
    changed = [name for name, wanted in needed.items() if _keep(paths, name, wanted)]
    if changed:
        emperor.wake(paths)


def _keep(paths: Paths, name: str, wanted: bool) -> bool:
    """Returns whether that changed anything."""
    place, demand = paths.enabled / name, f"{name}{ini.DEMAND}"
    if wanted == place.is_symlink() or (wanted and not (paths.available / name).exists()):
        return False
    if not wanted:
        files.remove(place)
        files.remove(paths.enabled / demand)
        return True
    if (paths.available / demand).exists():
        files.link(paths.available / demand, paths.enabled / demand)
    files.link(paths.available / name, place)
    return True


def listing(paths: Paths) -> Path:
    """The file that says which logs `@drain` sends, and to whom."""
    return paths.uwsgi / "drain.json"


def ask(paths: Paths) -> None:
    """Have certificates renewed now. uWSGI compares whole seconds, so each request is one later than
    the last."""
    place = paths.uwsgi / _REQUEST
    when = max(time.time(), requested(paths) + 1)
    place.touch()
    os.utime(place, (when, when))


def requested(paths: Paths) -> float:
    """When that was last asked for; changes with each request."""
    try:
        return (paths.uwsgi / _REQUEST).stat().st_mtime
    except FileNotFoundError:
        return 0.0


# --- their configuration -------------------------------------------------------------------------


def _upkeep(paths: Paths, calling: Sequence[str]) -> str:
    renew = _line(calling, "certs:renew", "--quiet")
    return ini.render(
        [
            *_common({}),
            ("processes", "0"),
            ("chdir", str(paths.uwsgi)),
            # Only what is written after uWSGI has looked first is a change to it: a file that was not there.
            ("exec-pre-app", f"rm -f {_REQUEST}"),
            ("hook-master-start", f"exec:touch {_REQUEST}"),
            ("touch-exec", f"{_REQUEST} {renew}"),
            ("cron2", f"minute=-5,unique=1 {renew}"),
            ("cron2", f"minute=-5,unique=1 {_line(calling, 'upkeep')}"),
            *_logged(paths, "upkeep"),
        ]
    )


def _doze(paths: Paths, calling: Sequence[str]) -> str:
    every_minute = f"minute=-1,unique=1 {_line(calling, 'upkeep', '--doze')}"
    return ini.render(
        [*_common({}), ("processes", "0"), ("cron2", every_minute), *_logged(paths, "doze")]
    )


def _line(calling: Sequence[str], *words: str) -> str:
    # uWSGI would leave the command running when it ends.
    return f"exec setpriv --pdeathsig TERM {shlex.join((*calling, *words))}"


def _waker(paths: Paths, package: Path) -> str:
    variables = {"PIKU_ROOT": str(paths.root), "HOME": str(paths.home)}
    return ini.render(
        [
            *_common(variables),
            ("plugins", "python3"),
            ("pythonpath", str(package)),
            ("module", "piku.extras.idle.waker:application"),
            ("need-app", "true"),
            ("single-interpreter", "true"),
            ("processes", "1"),
            ("threads", "32"),  # so many apps may hang at once before the next has to wait for them
            ("cheap", "true"),
            ("idle", "30"),
            ("die-on-idle", "true"),
            ("disable-logging", "true"),
            *_logged(paths, "waker"),
        ]
    )


def _drain(paths: Paths, package: Path) -> str:
    # As little of Python as possible.
    main = "from piku.extras.log_drain.shipper import main; main()"
    state = listing(paths).with_suffix(".state")
    program = shlex.join(
        [subprocesses.system_python(), "-BS", "-c", main, str(listing(paths)), str(state)]
    )
    return ini.render(
        [
            *_common({"PYTHONPATH": str(package)}),
            ("processes", "0"),
            ("chdir", str(paths.uwsgi)),
            ("reload-mercy", "6"),  # it may take a moment to send the rest
            ("log-master", "true"),  # what it says goes on in the new file when the log is renamed
            ("attach-daemon", f"exec setpriv --pdeathsig KILL -- {program}"),
            *_logged(paths, "drain"),
        ]
    )


def _common(variables: Mapping[str, str]) -> ini.Pairs:
    given = (("env", f"{name}={value}") for name, value in variables.items())
    return (("strict", "true"), ("master", "true"), ("die-on-term", "true"), *given)


def _logged(paths: Paths, name: str) -> ini.Pairs:
    log = str(paths.uwsgi / f"{name}.log")
    return (
        ("logto", log),
        ("log-maxsize", "1048576"),
        ("log-backupname", f"{log}.old"),
        ("logfile-chmod", "640"),
    )
