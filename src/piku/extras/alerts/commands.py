"""The commands `piku alerts` and `piku alerts:test`."""

import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import click

from piku.cli.common import optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.extras.alerts import send, settings, watch
from piku.output import duration, printable
from piku.paths import AppPaths, Paths


@click.command()
@pass_paths
def alerts(paths: Paths) -> None:
    """Show where alerts go, and what is wrong at the moment."""
    state, server = watch.load(paths) or watch.State(), settings.of_server(paths)
    click.echo(f"the server: {', '.join(_receivers(server)) or 'nobody'}")
    for name in paths.app_names():
        if (values := settings.of_app(server, paths.app(name))) != server:
            click.echo(f"{name}: {', '.join(_receivers(values)) or 'nobody'}")
    for app, found in state.problems.items():
        for one in found.values():
            click.echo(printable(f" !     {app or 'the server'}: {one.what}"))
    for waiting in state.pending:
        age = duration(time.time() - waiting.alert.at)
        what = f" !     not delivered for {age} by {waiting.to}: {waiting.alert.title}"
        click.echo(printable(what))


def _receivers(values: Mapping[str, str]) -> Iterator[str]:
    """Where alerts go, without what may be secret in it."""
    if url := settings.WEBHOOK_URL.read(values):
        signed = "signed" if settings.WEBHOOK_SECRET.read(values) else "not signed"
        kind = settings.WEBHOOK_FORMAT.read(values)
        yield f"webhook at {urlsplit(url).netloc} ({kind}, {signed})"
    if address := settings.ALERT_MAIL.read(values):
        yield f"mail to {address}"
    if url := settings.HEARTBEAT_URL.read(values):
        yield f"heartbeat at {urlsplit(url).netloc}"


@click.command("alerts:test")
@optional_app_argument
@pass_paths
def alerts_test(paths: Paths, app: AppPaths | None) -> None:
    """Send a test alert, for the server or APP, and say which receivers took it."""
    name, values = app.name if app else "", settings.of_server(paths)
    values = settings.of_app(values, app) if app else values
    receivers = list(send.receivers(values))
    if not receivers:
        hint = f"set PIKU_WEBHOOK_URL or PIKU_ALERT_MAIL in {paths.server_env}, or with config:set"
        raise PikuError("nobody wants alerts", hint=hint)
    one = watch.alert(name, "test", "this is a test: alerts arrive")
    for to in receivers:
        try:
            send.send(one, to, values)
        except PikuError as error:
            raise error.within(f"the {to} did not take it: ", "") from None
        click.echo(f"the {to} took it")
