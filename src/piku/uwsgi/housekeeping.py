"""The platform's own vassals: `@housekeeping`, and those that extras add.

`@housekeeping` runs `piku housekeeping` when it starts, every two minutes, and within a second
after it is asked for. It takes 2 MB.
"""

import os
import shlex
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from piku import files
from piku.extra import hooks
from piku.nginx.site import Site
from piku.paths import SEPARATOR, Paths
from piku.uwsgi import emperor, ini

VASSAL = f"{SEPARATOR}housekeeping.ini"  # no app's vassal can have such a name
_REQUEST = "housekeeping.request"


def config(paths: Paths, argv: Sequence[str]) -> str:
    """The ini of `@housekeeping`; `argv` is how this piku is called."""
    # uWSGI would leave the command running when it ends.
    command = f"exec setpriv --pdeathsig TERM {shlex.join((*argv, 'housekeeping'))}"
    options = (
        ("processes", "0"),
        ("chdir", str(paths.uwsgi)),
        # A file that uWSGI did not find when it started is a change to it.
        ("exec-pre-app", f"rm -f {_REQUEST}"),
        ("hook-master-start", f"exec:touch {_REQUEST}"),
        ("touch-exec", f"{_REQUEST} {command}"),
        ("cron2", f"minute=-2,unique=1 {command}"),
    )
    return vassal(paths, "housekeeping", options)


def vassal(paths: Paths, name: str, options: ini.Pairs) -> str:
    """The ini of a vassal of the platform: these options, and what all of them have."""
    log = ini.log(str(paths.uwsgi / f"{name}.log"), 1 << 20)
    common = (("strict", "true"), ("master", "true"), ("die-on-term", "true"))
    return ini.render((*common, *options, *log))


def follow(paths: Paths, sites: Collection[Site]) -> None:
    """Have the emperor run the vassals that these sites need, and no other of the platform's."""
    wanted = {name: text for hook in hooks("vassals") for name, text in hook(paths, sites).items()}
    if own := files.read(paths.available / VASSAL):
        wanted[VASSAL] = own
    enabled = {entry for entry in os.listdir(paths.enabled) if entry.startswith(SEPARATOR)}
    for name in enabled - wanted.keys():
        files.remove(paths.enabled / name)
    changed = enabled != wanted.keys()
    # Backwards: the emperor looks for "NAME.ini.demand" when it sees "NAME.ini".
    for name in sorted(wanted, reverse=True):
        place = paths.available / name
        if files.peek(place) != wanted[name]:
            before = place.stat().st_mtime if place.exists() else 0
            files.write(place, wanted[name], mode=0o640)
            _date(place, before + 1)
            changed = True
        files.link(place, paths.enabled / name)
    if changed:
        emperor.wake(paths)


def ask(paths: Paths) -> None:
    """Have housekeeping done now."""
    place, after = paths.uwsgi / _REQUEST, requested(paths) + 1
    place.touch()
    _date(place, after)


def _date(place: Path, least: float) -> None:
    """Date a file that uWSGI watches: it compares whole seconds."""
    os.utime(place, 2 * (max(time.time(), least),))


def requested(paths: Paths) -> float:
    """When that was last asked for; changes with each request."""
    try:
        return (paths.uwsgi / _REQUEST).stat().st_mtime
    except FileNotFoundError:
        return 0.0
