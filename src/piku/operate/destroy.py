"""Taking an app off the server, without taking what it or a person wrote."""

from __future__ import annotations

from pathlib import Path

from piku import files
from piku.deploy import certificates, orphans, reconcile, releases, scheduler
from piku.extras.limits import limits
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.tls import certificate as certificate_module
from piku.tls.certificate import Certificate
from piku.uwsgi import emperor


def destroy(paths: Paths, app: AppPaths, output: Output) -> None:
    """Stop the app and remove its code, settings, releases and logs; data and cache stay.

    The caller holds the app's lock. The repository goes last: until then the app still exists, and
    an interrupted destroy can simply be run again.
    """
    live = releases.live(app)
    timeout = live.stop_timeout if live else 10
    files.remove(app.live_record)
    reconcile.update_nginx(paths)
    names = emperor.enabled(paths, app.name)
    reconcile.stop(paths, names, timeout)
    scheduler.end(app, timeout)
    limits.clean(app, None)
    certificates.forget_failures(paths, app)
    for path in _files(paths, app):
        files.remove(path)
    files.remove(app.repo)
    orphans.sweep_files(paths, app)
    output.step(f"{app.name} is gone")
    for kept in (app.data, app.cache):
        if kept.is_dir() and any(kept.iterdir()):
            output.detail(f"Kept: {kept}")
        elif kept.is_dir():
            files.remove(kept)
    for certificate in _kept_certificates(app):
        output.detail(f"Kept: {certificate.path}")


def _kept_certificates(app: AppPaths) -> list[Certificate]:
    """Those that somebody gave, or an authority, which gives only so many."""
    return [
        certificate
        for certificate in certificate_module.stored(app)
        if certificate.source != certificate_module.SELF_SIGNED
    ]


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
