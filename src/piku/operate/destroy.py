"""Taking an app off the server, without taking what it or a person wrote."""

import contextlib

from piku import files
from piku.deploy import live_sites, reconcile, releases, scheduler
from piku.errors import PikuError
from piku.extra import hooks
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL where no live release says


def end(paths: Paths, app: AppPaths) -> None:
    """End everything of the app that runs, and have nginx forget its names."""
    timeout = _GRACE
    with contextlib.suppress(PikuError):  # a damaged record keeps nobody from removing its app
        live = releases.live(app)
        timeout = live.stop_timeout if live else _GRACE
    files.discard([app.live_link, app.live_record])
    live_sites.update(paths)
    reconcile.stop(paths, emperor.enabled(paths, app.name), timeout)
    scheduler.end(app, timeout)


def destroy(paths: Paths, app: AppPaths, output: Output) -> None:
    """Stop the app and remove its code, settings, releases and logs; data and cache stay.

    The caller holds the app's lock. The repository goes last: until then the app still exists, and
    an interrupted destroy can simply be run again.
    """
    end(paths, app)
    # Certificates that an authority or a person gave are kept: an authority gives only so many.
    kept = [certificate.place(app, kind) for kind in (certificate.OWN, certificate.ACME)]
    own = [app.live_link, app.previous_link, app.releases, app.envs, app.logs, app.nginx]
    for folder in (paths.nginx, paths.available):
        own += folder.glob(f"{app.name}{SEPARATOR}*")
    for destroyed in hooks("destroyed"):
        destroyed(paths, app)
    own += [app.refused, app.socket(1), app.repo, app.lock]
    files.discard([path for path in own if path not in kept], output.warn)
    if app.repo.is_dir():
        hint = f"once it is repaired, run this again: piku destroy {app.name}"
        raise PikuError(f"{app.repo} is still there", hint=hint)
    output.step(f"{app.name} is gone")
    for folder in (app.data, app.cache):
        with contextlib.suppress(OSError):  # it does not exist, or has something in it
            folder.rmdir()
    for path in (app.data, app.cache, *kept):
        if path.exists():
            output.detail(f"Kept: {path}")
