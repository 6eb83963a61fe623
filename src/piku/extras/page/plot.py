"""Figures over time as a drawing: inline SVG, coloured by the page's style sheet."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 150, 82, 8, 24
_PARTS = 150  # of a line, each with two points at most

Points = Sequence[tuple[int, float]]


def svg(
    title: str, series: Mapping[str, Points], begin: int, end: int, step: int,
    written: Callable[[float], str],
) -> str:  # fmt: skip
    """Lines by their names, of points (time, value), with gaps where a step is missing; `written`
    writes a value with its unit."""
    values = [value for points in series.values() for _, value in points]
    most = max([*values, 0.0]) or 1.0
    latest = ", ".join(
        f'<span class="key{number}">{f"{name} " * (len(series) > 1)}{written(points[-1][1])}</span>'
        for number, (name, points) in enumerate(series.items())
        if points
    )
    shape = '<text x="{x}" y="{y}" class="{kind}">{text}</text>'
    days = end - begin > 86400
    labels = [
        shape.format(x=_LEFT - 6, y=_TOP + 8, kind="end", text=escape(written(most))),
        shape.format(x=_LEFT - 6, y=_HEIGHT - _BOTTOM, kind="end", text="0"),
        *(
            shape.format(
                x=_LEFT + (_WIDTH - _LEFT) * part // 4, y=_HEIGHT - 4, kind=kind,
                text=time.strftime(
                    "%d %b" if days else "%H:%M", time.localtime(begin + (end - begin) * part // 4)
                ),
            )
            for part, kind in ((0, "start"), (1, "mid"), (2, "mid"), (3, "mid"), (4, "end"))
        ),
    ]  # fmt: skip
    lines = [
        f'<path class="line{number}" d="{_path(points, begin, end, step, most)}"/>'
        for number, points in enumerate(series.values())
    ]
    base = _HEIGHT - _BOTTOM
    return (
        f"<figure><figcaption>{escape(title)}: {latest}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{escape(title)} over time, at most {escape(written(most))}">'
        f'<path class="axis" d="M{_LEFT} {_TOP}V{base}H{_WIDTH}"/>'
        f"{''.join(lines)}{''.join(labels)}</svg></figure>"
    )


def _path(points: Points, begin: int, end: int, step: int, most: float) -> str:
    parts, last, width = [], 0, max(step, (end - begin) // _PARTS)
    for at, value in _thinned(points, width):
        x = _LEFT + (at - begin) / max(1, end - begin) * (_WIDTH - _LEFT)
        y = _TOP + (1 - value / most) * (_HEIGHT - _TOP - _BOTTOM)
        # A point alone is a dot, by the round end of a line of no length.
        if at - last > 2 * width - step:
            parts.append(f"M{x:.1f} {y:.1f}h0")
        parts.append(f"L{x:.1f} {y:.1f}")
        last = at
    return "".join(parts)


def _thinned(points: Points, width: int) -> Iterator[tuple[int, float]]:
    """Of all points within so many seconds the lowest and the highest."""
    for _, group in groupby(points, lambda point: point[0] // width):
        part = sorted(group, key=lambda point: point[1])
        yield from sorted({part[0], part[-1]})
