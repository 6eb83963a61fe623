"""The command that shows the whole server on one screen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from piku.cli.common import pass_paths
from piku.output import duration
from piku.paths import Paths

if TYPE_CHECKING:
    from piku.extras.status.status import App, Job, Machine, Status

_MB, _GB = 2**20, 2**30


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="As JSON, for scripts: numbers, bytes and seconds."
)
@pass_paths
def status(paths: Paths, as_json: bool) -> None:
    """Show the whole server: machine, apps, certificates, deploys, jobs."""
    from piku.cli import tables
    from piku.extras.status import status as observing

    found = observing.of_server(paths)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    for line in _lines(found, tables.width()):
        click.echo(tables.shortened(line, tables.width()))


def _lines(found: Status, room: int | None) -> Iterator[str]:
    yield from _machine(found.machine)
    yield ""
    yield from _apps(found.apps, room)
    expiring = list(_certificates(found))
    if expiring:
        yield from ("", "Certificates", *expiring)
    if found.deploys:
        yield from ("", "Last deploys", *_deploys(found, room))
    if found.jobs:
        yield from ("", "Jobs", *_jobs(found.jobs, room))


def _machine(host: Machine) -> Iterator[str]:
    runs = "does not run" if host.platform is None else f"runs for {duration(host.platform)}"
    yield f"piku {host.version} {runs}, on {host.name}, up for {duration(host.uptime)}"
    load = " ".join(f"{number:.2f}" for number in host.load)
    yield (
        f"load {load} ({_counted(host.processors, 'processor')}),"
        f" memory {(host.memory - host.available) / _MB:.0f} of {host.memory / _MB:.0f} MB,"
        f" disk {(host.disk - host.free) / _GB:.1f} of {host.disk / _GB:.1f} GB"
    )


def _apps(apps: tuple[App, ...], room: int | None) -> Iterator[str]:
    from piku.cli import tables
    from piku.cli.tables import Column

    if not apps:
        yield "No app yet: git push makes one"
        return
    columns = (
        Column(head="APP", long=True), Column(head="STATE"), Column(head="RELEASE"), Column(head="DEPLOYED", spare=2),
        Column(head="PROCESSES", spare=3, long=True), Column(head="MEMORY", number=True, spare=1),
        Column(head="REQ/MIN", number=True, spare=1), Column(head="WHERE", long=True),
    )  # fmt: skip
    yield from tables.lines(columns, [_cells(app) for app in apps], room)
    counts = {
        state: sum(1 for app in apps if app.state == state)
        for state in dict.fromkeys(a.state for a in apps)
    }
    yield ", ".join(f"{count} {state}" for state, count in counts.items())


def _cells(app: App) -> tuple[str, ...]:
    return (
        app.app,
        app.state,
        f"v{app.release}" if app.release else "-",
        f"{_ago(app.deployed)} ago" if app.deployed else "-",
        " ".join(f"{kind}={count}" for kind, count in app.processes.items()) or "-",
        f"{app.memory / _MB:.1f} MB" if app.memory else "-",
        "-" if app.requests_per_minute is None else str(app.requests_per_minute),
        " ".join(text for text in (app.url, f"({app.note})" if app.note else "") if text) or "-",
    )


def _certificates(found: Status) -> Iterator[str]:
    for one in found.certificates:
        days = (one.until - time.time()) / 86400
        when = f"ends in {days:.0f} days" if days > 0 else f"ended {-days:.0f} days ago"
        why = f"; {one.error}" if one.error else ""
        yield f" !     {one.app}: {one.source}, for {', '.join(one.names)}, {when}{why}"


def _deploys(found: Status, room: int | None) -> list[str]:
    from piku.output import table

    rows = [
        (f"       {_ago(one.created)} ago", one.app, f"v{one.release}",
         f"failed: {one.reason}" if one.outcome == "failed" else one.outcome, one.by, one.description)
        for one in found.deploys
    ]  # fmt: skip
    return [line[:room] for line in table(rows)]


def _jobs(jobs: tuple[Job, ...], room: int | None) -> list[str]:
    from piku.output import table

    return [
        line[:room] for line in table((f"       {job.app}", job.job, _job(job)) for job in jobs)
    ]


def _job(job: Job) -> str:
    if job.running_since:
        return f"runs for {_ago(job.running_since)}"
    if job.last is None:
        return "has not run yet"
    how = (
        "was killed"
        if job.code is None
        else "went well"
        if job.code == 0
        else f"failed with exit code {job.code}"
    )
    return f"{how} {_ago(job.last)} ago"


def _ago(when: float) -> str:
    return duration(max(0.0, time.time() - when))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
