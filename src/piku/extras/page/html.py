"""The pages as text. Whatever comes from elsewhere goes through `escape`, or is a figure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from piku.extras.page import plot
from piku.output import duration, plain

if TYPE_CHECKING:
    from piku.deploy.releases import Release
    from piku.extras.page.view import AppView, ServerView

_MB, _GB = 2**20, 2**30
_PLOTS = (
    ("Requests a minute", ("requests",)),
    ("Errors a minute", ("errors",)),
    ("Latency", ("p50", "p95")),
    ("Memory", ("memory",)),
    ("Processors", ("processors",)),
)
# Names with their units, as Prometheus wants them.
_EXPORTED = {
    "requests": "requests_per_minute", "errors": "errors_per_minute", "memory": "memory_bytes",
    "p50": "latency_p50_seconds", "p95": "latency_p95_seconds",
}  # fmt: skip

Series = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Figures of the last `seconds`, in steps of so many."""

    title: str
    seconds: int
    step: int
    series: Series


_GOOD, _BAD = ("up", "static", "succeeded"), ("crashing", "down", "unknown", "failed")


def overview(view: ServerView) -> str:
    """The first page: the server, its apps, and the last deploys."""
    used, disk = (view.memory - view.available) / _GB, (view.disk - view.free) / _GB
    load = f"load {view.load:.1f}, memory {used:.1f} of {view.memory / _GB:.1f} GB"
    taken = _marked(f"disk {disk:.0f} of {view.disk / _GB:.0f} GB", bad=view.full)
    bad = sum(app.state in _BAD for app in view.apps)
    count = f"{len(view.apps)} app{'s' * (len(view.apps) != 1)}"
    sick = ", " + _marked(f"{bad} in trouble", bad=True) if bad else ""
    order = sorted(view.apps, key=lambda app: (app.state not in _BAD, app.name))
    rows = [_app_cells(app) for app in order]
    head = ("App", "State", "Release", "Memory", "Requests a minute", "p95", "Errors a minute",
            "Certificate")  # fmt: skip
    apps = _table(head, rows) if rows else "<p>No app yet: git push creates one.</p>"
    pairs = [(app.name, one) for app in view.apps for one in app.deploys]
    latest = sorted(pairs, key=lambda pair: -pair[1].created)[:10]
    deploys = [(escape(name), *_deploy_cells(one, view.now)) for name, one in latest]
    body = f"<h1>{escape(view.name)}</h1><p>{count}{sick}; {load}, {taken}</p><h2>Apps</h2>{apps}"
    if deploys:
        table = _table(("App", "Release", "When", "By", "What", "Outcome"), deploys)
        body += f"<h2>Last deploys</h2>{table}"
    return _document(view.name, body, view.now)


def app_page(view: ServerView, app: AppView, history: Iterable[Span]) -> str:
    """The page of one app: its processes, its deploys, and plots of a day and a month."""
    link = f'<a href="{escape(app.url)}" rel="noreferrer">{escape(app.url)}</a>' if app.url else ""
    body = f'<p><a href="index.html">{escape(view.name)}</a></p><h1>{escape(app.name)}</h1>'
    body += f'<p data-mark="{escape(app.mark)}">{_state(app.state)} {link}</p>'
    if app.error:
        body += f'<p class="bad">{escape(plain(app.error))}</p>'
    if app.rows:
        rows = [
            (
                escape(row.process), _state(row.state), f"v{row.release}",
                duration(row.uptime) if row.uptime else "-", _size(row.memory), str(row.restarts),
            )
            for row in app.rows
        ]  # fmt: skip
        head = ("Process", "State", "Release", "Up for", "Memory", "Restarts")
        body += f"<h2>Processes</h2>{_table(head, rows)}"
    if app.log:
        body += f"<h2>The last deploy failed</h2>{_lines(app.log)}"
    for row in app.rows:
        if row.last_lines:
            body += f"<h2>{escape(row.process)} wrote last</h2>{_lines(row.last_lines)}"
    body += f'<div class="plots">{"".join(_columns(history, view.now))}</div>'
    cells = [_deploy_cells(one, view.now) for one in app.deploys]
    if cells:
        table = _table(("Release", "When", "By", "What", "Outcome"), cells)
        body += f"<h2>Last deploys</h2>{table}"
    return _document(f"{app.name} on {view.name}", body, view.now)


def written(name: str) -> Callable[[float], str]:
    """How a figure of this name is written."""
    units: dict[str, Callable[[float], str]] = {"p50": _time, "p95": _time, "memory": _size}
    return units.get(name, lambda value: f"{value:.3g}")


def _columns(history: Iterable[Span], now: int) -> Iterator[str]:
    """A column of plots for each span of which something is known."""
    for span in history:
        plots = [
            plot.svg(title, lines, now - span.seconds, now, span.step, written(names[0]))
            for title, names in _PLOTS
            if any((lines := {name: span.series.get(name, ()) for name in names}).values())
        ]
        if plots:
            yield f"<section><h2>{span.title}</h2>{''.join(plots)}</section>"


def prometheus(view: ServerView) -> str:
    """The same in the text format of Prometheus."""
    rows: dict[str, list[str]] = {}

    def add(name: str, app: AppView, value: float) -> None:
        rows.setdefault(name, []).append(f'piku_{name}{{app="{app.name}"}} {value:g}')

    for app in view.apps:
        add("app_up", app, app.state not in _BAD)
        add("app_release", app, app.release or 0)
        add("app_processes", app, len(app.rows))
        if app.days is not None:
            add("app_certificate_days", app, app.days)
        for name, points in app.hour.items():
            if points:
                add(f"app_{_EXPORTED.get(name, name)}", app, points[-1][1])
    lines = [f"# TYPE piku_{name} gauge\n" + "\n".join(found) for name, found in rows.items()]
    server = {
        "disk_free_bytes": view.free, "memory_available_bytes": view.available, "load1": view.load,
    }  # fmt: skip
    lines += [f"# TYPE piku_{name} gauge\npiku_{name} {value:g}" for name, value in server.items()]
    return "\n".join(lines) + "\n"


# --- parts ---------------------------------------------------------------------------------------


def _document(title: str, body: str, now: int) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f'<link rel="stylesheet" href="style.css"></head><body><main>{body}'
        f'<p class="soft">As of {moment}. <a href="metrics.prom">For Prometheus</a></p>'
        "</main></body></html>\n"
    )


def _lines(lines: Iterable[str]) -> str:
    return f"<pre>{escape(chr(10).join(map(plain, lines)))}</pre>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, without the columns in which nothing is known."""
    kept = [n for n in range(len(head)) if any(row[n] != "-" for row in rows)]

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(f'<{tag} data-label="{head[n]}">{cells[n]}</{tag}>' for n in kept)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _app_cells(app: AppView) -> tuple[str, ...]:
    recent = {name: [value for _, value in points] for name, points in app.hour.items()}
    rate, slow = recent.get("requests"), recent.get("p95")
    errors = max(recent.get("errors", [0.0]), default=0.0)
    certificate = escape(app.certificate) or f"{app.days} day{'s' * (app.days != 1)}"
    return (
        f'<a href="app-{escape(app.name)}.html">{escape(app.name)}</a>',
        _state(app.state),
        f"v{app.release}" if app.release else "-",
        _size(app.memory) if app.memory else "-",
        f"{rate[-1]:.3g}" if rate else "-",
        _time(max(slow)) if slow else "-",
        _marked(f"{errors:.3g}", bad=errors > 0) if rate else "-",
        "-" if app.days is None else _marked(certificate, bad=app.expires),
    )


def _marked(text: str, *, bad: bool) -> str:
    return f'<span class="bad">{text}</span>' if bad else text


def _deploy_cells(one: Release, now: int) -> tuple[str, ...]:
    reason = f": {one.reason}" if one.reason else ""
    took = f" after {one.ended - one.created:.1f} s" if one.ended else ""
    return (
        f"v{one.number}",
        f"{duration(max(0.0, now - one.created))} ago",
        escape(plain(one.by.partition(" ")[0])),
        escape(plain(one.description)),
        f"{_state(one.outcome)}{took}{escape(plain(reason))}",
    )


def _state(state: str) -> str:
    kind = "good" if state in _GOOD else "bad" if state in _BAD else "soft"
    return f'<span class="{kind}">{escape(state)}</span>'


def _size(value: float) -> str:
    return f"{value / _GB:.1f} GB" if value >= _GB else f"{value / _MB:.0f} MB"


def _time(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"
