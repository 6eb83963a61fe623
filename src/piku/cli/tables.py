"""Tables that fit their terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: `number` columns are aligned to the right. Where the terminal is too
    narrow, those with the lowest `spare` above 0 are left out first, then what is `long` is
    shortened."""

    head: str
    number: bool = False
    spare: int = 0
    long: bool = False


def width() -> int | None:
    """The columns of the terminal, or None when the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None) -> list[str]:
    """The table's lines, none of them longer than `room`."""
    if not rows:
        return []
    sizes = [
        max(map(len, (column.head, *cells)))
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    shown = list(range(len(columns)))
    while room is not None and _total(sizes, shown) > room:
        spare = [index for index in shown if columns[index].spare]
        if not spare:
            break
        shown.remove(min(spare, key=lambda index: columns[index].spare))
    while room is not None and _total(sizes, shown) > room:
        longest = max(
            (index for index in shown if columns[index].long),
            key=lambda index: sizes[index],
            default=None,
        )
        if longest is None or sizes[longest] <= 8:
            break
        sizes[longest] -= 1
    heads = [column.head for column in columns]
    return [_line(columns, cells, sizes, shown)[:room] for cells in (heads, *rows)]


def _total(sizes: Sequence[int], shown: Sequence[int]) -> int:
    return sum(sizes[index] for index in shown) + 2 * (len(shown) - 1)


def _line(
    columns: Sequence[Column], cells: Sequence[str], sizes: Sequence[int], shown: Sequence[int]
) -> str:
    parts = (shortened(cells[index], sizes[index]) for index in shown)
    aligned = (
        part.rjust(sizes[index]) if columns[index].number else part.ljust(sizes[index])
        for index, part in zip(shown, parts, strict=True)
    )
    return "  ".join(aligned).rstrip()


def shortened(text: str, room: int | None) -> str:
    """The text with an ellipsis for what there is no room for."""
    return text if room is None or len(text) <= room else f"{text[: max(0, room - 1)]}…"
