"""The commands `piku status` and `piku url`."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from piku.cli.common import app_argument, pass_paths
from piku.deploy import releases
from piku.deploy.releases import Release
from piku.deploy.scheduler import Run
from piku.errors import PikuError
from piku.extras.status import status as observing
from piku.extras.status.status import App, Machine, Status
from piku.nginx import service
from piku.output import duration, printable, table
from piku.paths import AppPaths, Paths

_MB, _GB = 2**20, 2**30
_HEAD = ("APP", "STATE", "RELEASE", "PROCESSES", "MEMORY", "ADDRESS")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON: numbers, bytes and seconds.")
@pass_paths
def status(paths: Paths, as_json: bool) -> None:
    """Show the whole server: machine, apps, last deploys, jobs."""
    found = observing.observe(paths)
    if as_json:
        click.echo(json.dumps(_record(found), indent=1))
        return
    for line in _lines(found):
        click.echo(printable(line))


@click.command(hidden=True)
@app_argument
@pass_paths
def url(paths: Paths, app: AppPaths) -> None:
    """Print the address of an app, for `piku open`."""
    live = releases.live(app)
    if live is None or live.site is None:
        hint = "give it a host name: piku config:set APP NGINX_SERVER_NAME=www.example.com"
        raise PikuError(f"nginx does not serve {app.name}", hint=hint)
    click.echo(service.url(paths, live.site))


def _record(found: Status) -> dict[str, object]:
    return {
        "machine": asdict(found.machine),
        "apps": [asdict(app) for app in found.apps],
        "deploys": [{"app": app, **_facts(one)} for app, one in found.deploys],
        "jobs": [
            {"app": app, "job": job, "running": running, **asdict(run)}
            for app, job, run, running in found.jobs
        ],
    }


def _facts(one: Release) -> dict[str, object]:
    """A release without its settings, which may be secret."""
    return {name: value for name, value in asdict(one).items() if name != "settings"}


def _lines(found: Status) -> Iterator[str]:
    yield from _machine(found.machine)
    yield ""
    apps = [_cells(app) for app in found.apps]
    yield from table([_HEAD, *apps]) if apps else ["No app yet: git push creates one"]
    for head, rows in (
        ("Last deploys", [_deploy(*one) for one in found.deploys]),
        ("Jobs", [_job(*one) for one in found.jobs]),
    ):
        if rows:
            yield from ("", head, *table(rows))


def _machine(host: Machine) -> Iterator[str]:
    runs = f"runs for {duration(host.platform)}" if host.platform else "does not run"
    yield f"piku {host.version} {runs}, on {host.name}, up for {duration(host.uptime)}"
    used, disk = (host.memory - host.available) / _GB, (host.disk - host.free) / _GB
    memory = f"memory {used:.1f} of {host.memory / _GB:.1f} GB"
    yield f"load {host.load[0]:.1f}, {memory}, disk {disk:.0f} of {host.disk / _GB:.0f} GB"


def _cells(app: App) -> tuple[str, ...]:
    return (
        app.app,
        app.state,
        f"v{app.release}" if app.release else "-",
        " ".join(f"{kind}={count}" for kind, count in app.processes.items()) or "-",
        f"{app.memory / _MB:.1f} MB" if app.memory else "-",
        f"{app.url} {f'({app.note})' if app.note else ''}".strip() or "-",
    )


def _deploy(app: str, one: Release) -> tuple[str, ...]:
    outcome = f"failed: {' '.join(one.reason.split())}" if one.reason else one.outcome
    by = one.by.partition(" ")[0]
    return f"       {_ago(one.created)}", app, f"v{one.number}", outcome, by, one.description


def _job(app: str, job: str, run: Run, running: bool) -> tuple[str, ...]:
    how = "was killed" if run.code is None else f"failed with exit code {run.code}"
    how = "runs" if running else how if run.code != 0 else "succeeded"
    return f"       {app}", job, f"{how}, started {_ago(run.started)}"


def _ago(when: float) -> str:
    return f"{duration(max(0.0, time.time() - when))} ago"
