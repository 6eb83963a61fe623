"""Tables that fit their terminal, and a screen that is drawn again and again."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from piku.errors import PikuError

_ENTER, _LEAVE = (
    "\x1b[?1049h\x1b[?25l",
    "\x1b[?25h\x1b[?1049l",
)  # another screen, without a cursor; and back
_HOME, _WHOLE_LINE, _BELOW = "\x1b[H", "\x1b[2K", "\x1b[J"
_EVERY = 2.0


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: `number` columns are aligned to the right. Where the terminal is too narrow,
    those with the lowest `spare` above 0 are left out first, then what is `long` is shortened."""

    head: str
    number: bool = False
    spare: int = 0
    long: bool = False


def width() -> int | None:
    """The columns of the terminal, or None when the output goes elsewhere and may be of any length."""
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


# --- watching ------------------------------------------------------------------------------------


def watch(draw: Callable[[], list[str]]) -> NoReturn:
    """Show what `draw` gives, anew every 2 seconds and when the terminal changes its size, until Ctrl-C."""
    if not sys.stdout.isatty():
        raise PikuError(
            "--watch draws on a terminal, and here is none",
            hint="over SSH there is one with: ssh -t",
            code=2,
        )
    # Waited for, in place of a sleep: the kernel would otherwise throw it away.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
    with _screen():
        while True:
            columns, height = shutil.get_terminal_size()
            drawn = (_WHOLE_LINE + line for line in _cut(draw(), height, columns))
            _say(_HOME + "\n".join(drawn) + _BELOW)
            signal.sigtimedwait({signal.SIGWINCH}, _EVERY)


def _cut(text: list[str], height: int, columns: int) -> Iterator[str]:
    """As many lines as there is room for."""
    if len(text) > height:
        text = [*text[: height - 1], f"… {len(text) - height + 1} more lines"]
    return (shortened(line, columns) for line in text)


@contextmanager
def _screen() -> Iterator[None]:
    """Another screen for a while; the terminal is as it was afterwards, and while we are stopped."""

    def pause(_number: int, _frame: object) -> None:
        _say(_LEAVE)
        # By the kernel's own rule, which stops nobody whom no shell could have go on: so over SSH.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, pause)
        _say(_ENTER)

    def leave(_number: int, _frame: object) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTSTP, pause)
    signal.signal(signal.SIGTERM, leave)
    _say(_ENTER)
    try:
        yield
    finally:
        _say(_LEAVE)


def _say(text: str) -> None:
    # Without a buffer: a signal may have us say something while we are at it.
    left = text.encode(errors="surrogateescape")
    try:
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]
    except OSError:  # the terminal is gone, and whoever looked at it
        os._exit(129)
