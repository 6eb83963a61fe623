"""Commands for the certificates of apps."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TextIO

import click

from piku import files
from piku.cli.common import app_argument, optional_app_argument, pass_paths
from piku.deploy import live_sites, releases
from piku.errors import PikuError
from piku.extras.certs import renew
from piku.extras.certs.renew import Failures
from piku.nginx import service
from piku.output import Output, table
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from piku.tls.certificate import OWN, Certificate

_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Status:
    """An app's names, the certificate that it is served with, and attempts to get another."""

    app: AppName
    names: tuple[str, ...]
    serving: Certificate
    failed: Failures


def status(paths: Paths, only: AppPaths | None) -> Iterator[Status]:
    for name, site in live_sites.load(paths)[0].items():
        app = paths.app(name)
        if only is None or only.name == name:
            serving = certificate.certificate(app, site.all_names)
            failed = renew.failures(app)
            yield Status(app=name, names=site.all_names, serving=serving, failed=failed)


@click.command()
@optional_app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def certs(paths: Paths, app: AppPaths | None, as_json: bool) -> None:
    """Show the certificates of apps: names, issuer, expiry, and the last error."""
    found = list(status(paths, app))
    if as_json:
        click.echo(json.dumps([_record(each) for each in found], indent=1))
        return
    if app and not found:
        _require_site(paths, app)
    for line in table(_row(each) for each in found):
        click.echo(line)
    for each in found:
        for line in _problems(each):
            click.echo(f" !     {each.app}: {line}")


def _require_site(paths: Paths, app: AppPaths) -> None:
    if app.name not in live_sites.load(paths)[0]:
        raise PikuError(
            f"nginx does not serve {app.name}: it needs NGINX_SERVER_NAME, and to be deployed"
        )


def _row(status: Status) -> tuple[str, ...]:
    serving = status.serving
    days = (serving.not_after - time.time()) / 86400
    expires = f"until {serving.last_day} ({days:.0f} days)"
    issuer = "" if serving.issuer == serving.source else serving.issuer
    return (status.app, ", ".join(status.names), serving.source, issuer, expires)


def _problems(status: Status) -> Iterator[str]:
    if missing := status.serving.missing(status.names):
        yield f"it is not for {', '.join(missing)}"
    if status.serving.source == OWN and status.serving.ends_soon(time.time()):
        yield "it expires soon: replace it with certs:add"
    if (last := status.failed).count:
        yield from last.error.splitlines()
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.retry))
        yield f"attempt {last.count} {'failed' if last.error else 'has begun'}, next try {when}"


def _record(status: Status) -> dict[str, object]:
    failed = asdict(status.failed) if status.failed.error else None
    return {"app": status.app, "names": status.names, "serving": asdict(status.serving),
            "missing": status.serving.missing(status.names), "failed": failed}  # fmt: skip


@click.command("certs:add")
@app_argument
@click.argument("file", metavar="FILE|-", type=click.File(errors="replace"))
@pass_paths
def certs_add(paths: Paths, app: AppPaths, file: TextIO) -> None:
    """Serve an app with a certificate of your own.

    FILE has the certificate, its chain and its key, as PEM; '-' is standard input, as in
    `cat chain.pem key.pem | ssh piku@server certs:add APP -`.
    """
    text = file.read(_MAX)
    found = certificate.inspect(text, OWN)
    live = releases.live(app)
    if missing := found.missing(live.site.all_names if live and live.site else ()):
        raise PikuError(
            f"the certificate is not for {', '.join(missing)}, a name of {app.name}",
            hint=f"it is for {', '.join(found.names) or 'no name at all'}",
        )
    renew.put(paths, app, OWN, found, text)
    output = Output(sys.stdout)
    output.step(f"{app.name} has a certificate of its own: {', '.join(found.names)}")
    output.detail(f"from {found.issuer}, valid until {found.last_day}")
    if not found.trusted:
        output.warn("it is self-signed: browsers will warn")
    elif text.count("-----BEGIN CERTIFICATE-----") == 1:
        output.warn("its chain is missing: browsers may not trust it")


@click.command("certs:remove")
@app_argument
@pass_paths
def certs_remove(paths: Paths, app: AppPaths) -> None:
    """Remove the certificate that certs:add gave an app; piku gets one again."""
    place = certificate.place(app, OWN)
    if not place.exists():
        raise PikuError(
            f"{app.name} has no certificate of its own", hint=f"see: piku certs {app.name}"
        )
    service.want_reload(paths)
    files.remove(place)
    live_sites.update(paths)
    Output(sys.stdout).step(f"{app.name} has no certificate of its own now: piku certs {app.name}")


@click.command("certs:renew")
@optional_app_argument
@click.option("--force", is_flag=True, help="Also what is not due.")
@pass_paths
def certs_renew(paths: Paths, app: AppPaths | None, force: bool) -> None:
    """Get and renew certificates now; housekeeping does so whenever one is due."""
    if app:
        _require_site(paths, app)
    output = Output(sys.stdout)
    if failed := renew.renew(paths, output, only=app, asked=True, force=force):
        raise PikuError(f"no certificate for {', '.join(failed)}")
