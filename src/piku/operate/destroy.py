"""Taking an app off the server, without taking what it or a person wrote."""

from __future__ import annotations

from pathlib import Path

from piku import effects
from piku.deploy import certificates, converge, cron, leftovers, limits, records, runs
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.serve import emperor, tls
from piku.serve.tls import Certificate


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
    converge.stop(paths, names, timeout)
    cron.end(app, timeout)
    runs.end(app, timeout)
    limits.clean(app, None)
    certificates.forget_failures(paths, app)
    for path in _files(paths, app):
        effects.remove(path)
    effects.remove(app.repo)
    leftovers.sweep_files(paths, app)
    output.step(f"{app.name} is gone")
    for kept in (app.data, app.cache):
        if kept.is_dir() and any(kept.iterdir()):
            output.detail(f"Kept: {kept}")
        elif kept.is_dir():
            effects.remove(kept)
    for certificate in _kept_certificates(app):
        output.detail(f"Kept: {certificate.path}")


def _kept_certificates(app: AppPaths) -> list[Certificate]:
    """Those that somebody gave, or an authority, which gives only so many."""
    return [certificate for certificate in tls.stored(app) if certificate.source != tls.SELF_SIGNED]


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
    kept = {Path(certificate.path) for certificate in _kept_certificates(app)}
    found += (path for path in paths.nginx.glob(f"{app.name}{SEPARATOR}*") if path not in kept)
    found += paths.available.glob(f"{app.name}{SEPARATOR}*")
    return found
