"""Which lines of a program a push shows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import dropwhile
from typing import Any

from piku.deploy.deployment import Deployment
from piku.output import Output, duration
from piku.runtimes.base import Run

_FIRST, _LAST, _LAST_FAILED = 20, 5, 40  # lines of a program that are shown
_PAUSE = 5.0  # seconds after which one of the lines between them is


@contextmanager
def around(
    deployment: Deployment, step: Run, how: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    log_command = f"piku logs {deployment.app.name} build"
    with Excerpt(deployment.output, log_command, minor=step.optional) as excerpt:
        yield {**how, "sink": excerpt.add, "idle": excerpt.idle}


class Excerpt:
    """What is shown of a program's lines, which all go to the log: the first ones, then one now and
    then as a sign of life, and the last ones, more if it failed; of a `minor` one the very last."""

    def __init__(
        self, output: Output, log_command: str, *, minor: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._output, self._log_command, self._clock = output, log_command, clock
        self._first = 0 if minor else _FIRST
        self._begun = self._shown_at = clock()
        # The last lines, and whether each has been shown.
        self._last: deque[tuple[str, bool]] = deque(maxlen=1 if minor else _LAST_FAILED)
        self._hidden = 0

    def add(self, line: str) -> None:
        self._output.detail(line, shown=False)
        shown = bool(self._first) or self._clock() - self._shown_at > _PAUSE
        if shown:
            self._show(line)
        self._first = max(0, self._first - 1)
        self._hidden += not shown
        self._last.append((line, shown))

    def idle(self) -> None:
        self._show(f"… still running after {duration(self._clock() - self._begun)}")

    def __enter__(self) -> Excerpt:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_rest: object) -> None:
        # Without a gap, from the first one that has not been shown.
        last = list(self._last)[0 if failure else -_LAST :]
        last = list(dropwhile(lambda pair: pair[1], last))
        if left := self._hidden - sum(not shown for _, shown in last):
            lines = "1 more line" if left == 1 else f"{left} more lines"
            self._show(f"… {lines} in the build log: {self._log_command}")
        for line, _ in last:
            self._show(line)

    def _show(self, text: str) -> None:
        # Of a progress bar, what it came to.
        self._output.detail(text.rpartition("\r")[2], kept=False)
        self._shown_at = self._clock()
