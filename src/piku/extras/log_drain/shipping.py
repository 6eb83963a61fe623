"""Who gets a copy of an app's log: read with each activation, and told to the program that sends it."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import piku
from piku import files, subprocesses
from piku.app import variables
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.extras.log_drain import receivers, settings
from piku.nginx.site import Site
from piku.paths import AppPaths, Paths
from piku.uwsgi import housekeeping


def authorities(deployment: Deployment) -> str:
    """The certificates that receivers may be certified by, beside the system's; raises PikuError."""
    wanted = settings.LOG_DRAIN_CA.read(deployment.values)
    if not wanted or not settings.LOG_DRAIN.read(deployment.values):
        return ""
    place = (deployment.checkout.resolve() / wanted).resolve()
    setting = f"{settings.LOG_DRAIN_CA.name}={wanted}"
    if not Path(wanted).is_absolute() and not place.is_relative_to(deployment.checkout.resolve()):
        raise PikuError(f"{setting} leads outside the app's folder")
    if not place.is_file():
        raise PikuError(f"{setting}: there is no such file")
    text = files.read(place)
    try:
        receivers.trusting(text)
    except (OSError, ValueError):
        raise PikuError(f"{setting} holds no certificate in PEM form") from None
    return text


def follow(paths: Paths) -> bool:
    """Tell what every live app's receivers are; returns whether there is any."""
    place = listing(paths)
    before = _listed(place)
    found: dict[str, Any] = {}
    for name in paths.app_names():
        app = paths.app(name)
        with contextlib.suppress(PikuError):  # one app's damaged record must not stop the others
            live = releases.live(app)
            if live is not None and _drains(app) and not live.stopped:
                since = before.get(name, {}).get("since") or app.live_record.stat().st_mtime
                found[name] = {"since": since, **_entry(app, live)}
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    if files.read(place) != text and (found or place.exists()):
        files.write(place, text, mode=0o600)
    return bool(found)


def _drains(app: AppPaths) -> list[str]:
    values = variables.parse_literal(files.read(app.live_env))
    return list(settings.LOG_DRAIN.read(values))


def _listed(place: Path) -> dict[str, Any]:
    try:
        return files.read_json(place) or {}
    except PikuError:  # nothing is lost with it
        return {}


def _entry(app: AppPaths, live: Live) -> dict[str, Any]:
    return {
        "logs": str(app.logs),
        "live": live.start,
        "activations": str(app.start(live.start).parent),
        "oldest": min((process.start for process in live.processes), default=live.start),
        "drains": _drains(app),
        "ca": "",
    }


def listing(paths: Paths) -> Path:
    """The file that says which logs `@drain` sends, and to whom."""
    return paths.uwsgi / "drain.json"


def vassals(paths: Paths, _sites: Collection[Site]) -> dict[str, str]:
    """The program that sends the logs, while there is a receiver."""
    if not follow(paths):
        return {}
    # As little of Python as possible.
    main = "from piku.extras.log_drain.shipper import main; main()"
    state = listing(paths).with_suffix(".state")
    program = shlex.join(
        [subprocesses.system_python(), "-BS", "-c", main, str(listing(paths)), str(state)]
    )
    options = (
        ("env", f"PYTHONPATH={Path(piku.__file__).resolve().parents[1]}"),
        ("processes", "0"),
        ("chdir", str(paths.uwsgi)),
        ("reload-mercy", "6"),  # it may take a moment to send the rest
        ("log-master", "true"),  # what it says goes on in the new file when the log is renamed
        ("attach-daemon", f"exec setpriv --pdeathsig KILL -- {program}"),
    )
    return {"@drain.ini": housekeeping.vassal(paths, "drain", options)}
