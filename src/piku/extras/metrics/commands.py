"""The commands `piku metrics`, `metrics:on` and `metrics:off`."""

import json
import time

import click

from piku import files, locks
from piku.cli.common import app_argument, json_option, pass_paths
from piku.deploy import live_sites
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.metrics import history, request_log, sampling
from piku.output import duration
from piku.paths import AppPaths, Paths

_MOST = 30 * 86400  # seconds
_BARS, _WIDTH = "▁▂▃▄▅▆▇█", 48
_FACTORS = {"p50": (1000, "ms"), "p95": (1000, "ms"), "memory": (2**-20, "MB")}
_UNITS = {"requests": "a minute", "errors": "a minute", "processors": "cores"}


@click.command()
@app_argument
@click.option("--since", metavar="1d", default="1d", help="How far back: 3h, 1d or 30d at most.")
@json_option
@pass_paths
def metrics(paths: Paths, app: AppPaths, since: str, as_json: bool) -> None:
    """Show an app's requests, latency, errors, memory and processors over time."""
    if not request_log.folder(paths).is_dir():
        raise PikuError("nothing is measured on this server", hint="begin with: piku metrics:on")
    span = min(shared.seconds(since), _MOST)
    step, series = sampling.series(paths, app, span)
    if as_json:
        click.echo(json.dumps({"step": step, "figures": series}))
        return
    now = int(time.time())
    click.echo(f"{app.name}, the last {duration(span)}")
    for name, points in series.items():
        factor, unit = _FACTORS.get(name, (1, _UNITS.get(name, "")))
        values = [value * factor for _, value in points]
        bars = _bars(points, now - span, now)
        said = f"last {values[-1]:.4g}, most {max(values):.4g} {unit}" if values else "unknown"
        click.echo(f"{name:<11} {bars:<{_WIDTH}} {said}")


def _bars(points: history.Points, begin: int, end: int) -> str:
    """A row of bars, each for the mean of what is in its part; blank where nothing is."""
    most = max((value for _, value in points), default=0.0) or 1.0
    parts: list[list[float]] = [[] for _ in range(_WIDTH)]
    for at, value in points:
        parts[max(0, min(_WIDTH - 1, (at - begin) * _WIDTH // (end - begin)))].append(value)
    means = [sum(part) / len(part) if part else None for part in parts]
    return "".join(" " if one is None else _BARS[min(7, int(one / most * 8))] for one in means)


@click.command("metrics:on")
@pass_paths
def metrics_on(paths: Paths) -> None:
    """Start to measure what apps do, every two minutes."""
    request_log.folder(paths).mkdir(exist_ok=True)
    live_sites.update(paths)
    click.echo("Measuring. See it with: piku metrics APP")


@click.command("metrics:off")
@pass_paths
def metrics_off(paths: Paths) -> None:
    """Stop measuring, and delete what was measured."""
    with locks.lock(paths.uwsgi / sampling.LOCK, "removing figures"):
        files.remove(request_log.folder(paths))
    live_sites.update(paths)
    click.echo("Nothing is measured any more")
