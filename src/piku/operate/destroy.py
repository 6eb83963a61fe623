"""Taking an app off the server, without taking what it or a person wrote."""

from __future__ import annotations

from pathlib import Path

from piku import effects
from piku.deploy import converge, records
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.serve import emperor


def destroy(paths: Paths, app: AppPaths, output: Output) -> None:
    """Stop the app and remove its code, settings, releases and logs; data and cache stay.

    The caller holds the app's lock. The repository goes last: until then the app still exists, and
    an interrupted destroy can simply be run again.
    """
    live = records.live(app)
    timeout = live.stop_timeout if live else 10
    effects.remove(app.live_record)
    converge.update_nginx(paths)
    names = emperor.enabled(paths, app.name)
    converge.stop(paths, names, timeout + 10)
    for path in _files(paths, app):
        effects.remove(path)
    effects.remove(app.repo)
    output.step(f"{app.name} is gone")
    for kept in (app.data, app.cache):
        if kept.is_dir() and any(kept.iterdir()):
            output.detail(f"Kept: {kept}")
        elif kept.is_dir():
            effects.remove(kept)


def _files(paths: Paths, app: AppPaths) -> list[Path]:
    found = [
        app.live_link,
        app.before_link,
        app.releases,
        app.envs,
        app.logs,
        app.nginx,
        app.refused,
        app.socket(1),
    ]
    found += paths.nginx.glob(f"{app.name}{SEPARATOR}*")
    found += paths.available.glob(f"{app.name}{SEPARATOR}*.ini")
    return found
