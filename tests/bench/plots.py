"""The plots of docs/benchmarks.md as SVG, readable on a light page and on a dark one."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 300, 60, 45, 40
COLOURS = ("#2e7d4f", "#c77700", "#3b6fb6", "#a23b72", "#7a7a7a", "#009688", "#b3261e", "#8d6e63")
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #333 } .axis { stroke: #999 } .grid { stroke: #ddd }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #888 } .grid { stroke: #444 } }
</style>"""
# name: the group of rows that it belongs to, and what it shows
PLOTS = {
    "steps": ("Push", "Where the time of a push goes, by kind of app and step"),
    "latency": ("Latency", "How long each request took while a new release replaced the old one"),
    "apps": ("Many apps", "Seconds of a push by the number of apps"),
    "releases": ("Many apps", "Seconds of a push by the number of past releases"),
}

Points = Sequence[tuple[float, float]]


def draw(name: str, series: Mapping[str, Any]) -> str:
    """The picture of one of PLOTS, from what was measured."""
    title, below, left = PLOTS[name][1], *AXES[name]
    body = DRAWN[name](series)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{escape(title)}</title>\n{STYLE}\n"
        f'<text x="{LEFT}" y="20" font-weight="600">{escape(left)}</text>\n'
        f'<text x="{WIDTH - 10}" y="{HEIGHT - 8}" text-anchor="end">{escape(below)}</text>\n'
        f"{body}</svg>\n"
    )


def scales(points: Points) -> tuple[Callable[[float], float], Callable[[float], float], str]:
    """From values to places, and the lines and numbers along both axes."""
    right, most = max(x for x, _ in points) or 1, max(y for _, y in points) * 1.1 or 1

    def across(x: float) -> float:
        return LEFT + x / right * (WIDTH - LEFT - 20)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - y / most * (HEIGHT - BOTTOM - TOP)

    out = []
    for part in range(5):
        y, x = most * part / 4, right * part / 4
        out.append(f'<path class="{"grid" if part else "axis"}" d="M{LEFT} {up(y):.0f}H{WIDTH - 20}"/>'
                   f'<text x="{LEFT - 6}" y="{up(y) + 4:.0f}" text-anchor="end">{y:.3g}</text>'
                   f'<text x="{across(x):.0f}" y="{HEIGHT - 26}" text-anchor="middle">{x:.4g}</text>\n')  # fmt: skip
    return across, up, "".join(out)


def line(series: Mapping[str, Any]) -> str:
    """A line through figures by a number."""
    points = sorted((float(key), float(value)) for key, value in series.items())
    across, up, out = scales([(0, 0), *points])
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    out += f'<polyline fill="none" stroke="{COLOURS[0]}" stroke-width="2" points="{path}"/>\n'
    for x, y in points:
        out += f'<circle r="4" fill="{COLOURS[0]}" cx="{across(x):.1f}" cy="{up(y):.1f}"/>'
        out += f'<text x="{across(x):.1f}" y="{up(y) - 9:.1f}" text-anchor="end">{y:.2f}</text>\n'
    return out


def dots(series: Mapping[str, Any]) -> str:
    """A dot for each request, in the colour of its kind of app."""
    every = {kind: [(float(x), float(y)) for x, y in values] for kind, values in series.items()}
    across, up, out = scales([(0, 0), *(point for points in every.values() for point in points)])
    for colour, points in zip(COLOURS, every.values(), strict=False):
        out += "".join(f'<circle r="1.6" fill="{colour}" cx="{across(x):.1f}" cy="{up(y):.1f}"/>'
                       for x, y in points) + "\n"  # fmt: skip
    return out + key(list(every))


def bars(series: Mapping[str, Any]) -> str:
    """A bar for each kind of app, of its steps one after the other."""
    steps: dict[str, None] = {}
    for spans in series.values():
        steps |= dict.fromkeys(spans)
    most = max(sum(spans.values()) for spans in series.values())
    out, scale = "", (WIDTH - LEFT - 90) / most
    for row, (kind, spans) in enumerate(series.items()):
        x, y = float(LEFT), TOP + row * 44
        out += f'<text x="{LEFT - 6}" y="{y + 20}" text-anchor="end">{escape(kind)}</text>'
        for colour, step in zip(COLOURS, steps, strict=False):
            width = spans.get(step, 0) * scale
            out += f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="30" fill="{colour}"><title>{escape(step)}</title></rect>'  # fmt: skip
            x += width
        total = sum(spans.values())
        out += f'<text x="{x + 8:.0f}" y="{y + 20}">{total:.2f} s</text>\n'
    return out + key(list(steps), TOP + len(series) * 44 + 16, LEFT)


def key(names: Sequence[str], top: float = 20, left: float = WIDTH - 320) -> str:
    """What each colour stands for."""
    out, x, y = "", left, top
    for colour, name in zip(COLOURS, names, strict=False):
        wide = 34 + 7 * len(name)
        if x + wide > WIDTH:
            x, y = left, y + 22
        out += f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        out += f'<text x="{x + 18}" y="{y}">{escape(name)}</text>\n'
        x += wide
    return out


DRAWN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "steps": bars, "latency": dots, "apps": line, "releases": line,
}  # fmt: skip
# name: what goes to the right, and what goes up
AXES = {
    "steps": ("", "A push of a code change, by step"),
    "latency": ("seconds since the push began", "milliseconds for an answer"),
    "apps": ("apps on the server", "seconds for a push"),
    "releases": ("releases before it", "seconds for a push"),
}
