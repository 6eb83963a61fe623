"""Commands for the certificates of apps."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from piku.cli.common import app_argument, optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.output import Output, table
from piku.paths import AppPaths, Paths
from piku.tls.certificate import OWN

if TYPE_CHECKING:
    from piku.extras.certs.certs import Status

_MAX = 1 << 20
_SOON = 14 * 86400


@click.command()
@optional_app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def certs(paths: Paths, app: AppPaths | None, as_json: bool) -> None:
    """Show the certificates of apps: names, issuer, expiry, and the last error."""
    from piku.extras.certs import certs as operating

    found = list(operating.status(paths, app))
    if as_json:
        click.echo(json.dumps([_record(status) for status in found], indent=1))
        return
    if app and not found:
        raise PikuError(
            f"nginx does not serve {app.name}: it needs NGINX_SERVER_NAME, and to be deployed"
        )
    for line in table(_row(status) for status in found):
        click.echo(line)
    for status in found:
        for line in _trouble(status):
            click.echo(f" !     {status.app}: {line}")


def _row(status: Status) -> tuple[str, ...]:
    serving = status.serving
    days = (serving.not_after - time.time()) / 86400
    expires = f"until {serving.last_day} ({days:.0f} days)"
    issuer = "" if serving.issuer == serving.source else serving.issuer
    return (status.app, ", ".join(status.names), serving.source, issuer, expires)


def _trouble(status: Status) -> list[str]:
    found = [f"it is not for {', '.join(status.missing)}"] if status.missing else []
    if status.serving.source == OWN and status.serving.not_after - time.time() < _SOON:
        found.append("it expires soon: replace it with certs:add")
    if status.tried.count:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.tried.next))
        found += [
            *status.tried.error.splitlines(),
            f"attempt {status.tried.count} failed, next try {when}",
        ]
    return found


def _record(status: Status) -> dict[str, object]:
    tried = asdict(status.tried) if status.tried.count else None
    return {"app": status.app, "names": status.names, "serving": asdict(status.serving),
            "missing": status.missing, "failed": tried}  # fmt: skip


@click.command("certs:add")
@app_argument
@click.argument("certificate", metavar="CERT|-")
@click.argument("key", metavar="[KEY|-]", required=False)
@pass_paths
def certs_add(paths: Paths, app: AppPaths, certificate: str, key: str | None) -> None:
    """Serve an app with a certificate of your own.

    CERT (with its chain after it) and KEY are PEM files; `-` is standard input, for both, as in
    `cat chain.pem key.pem | ssh piku@server certs:add APP -`.
    """
    from piku.extras.certs import certs as operating

    text = "\n".join(_text(place) for place in (certificate, key) if place)
    found, warnings = operating.add(paths, app, f"{text}\n")
    output = Output(sys.stdout)
    output.step(f"{app.name} has a certificate of its own: {', '.join(found.names)}")
    output.detail(f"from {found.issuer}, valid until {found.last_day}")
    for warning in warnings:
        output.warn(warning)


@click.command("certs:remove")
@app_argument
@pass_paths
def certs_remove(paths: Paths, app: AppPaths) -> None:
    """Remove the certificate that certs:add gave an app; piku gets one again."""
    from piku.extras.certs import certs as operating

    found = operating.remove(paths, app)
    Output(sys.stdout).step(f"{app.name} is served with {found.source}: see piku certs {app.name}")


def _text(place: str) -> str:
    if place == "-":
        return sys.stdin.read(_MAX)
    try:
        return Path(place).read_text(errors="replace")[:_MAX]
    except OSError as error:
        raise PikuError(f"{place} cannot be read: {error.strerror}") from None
