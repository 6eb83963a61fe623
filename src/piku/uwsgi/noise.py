"""uWSGI's routine remarks about its own starts and stops in an app's log."""

import functools
import re

from piku.paths import TEMPLATES


@functools.cache
def _routine() -> re.Pattern[bytes]:
    text = (TEMPLATES / "uwsgi-remarks.txt").read_bytes()
    return re.compile(b"|".join(line for line in text.splitlines() if not line.startswith(b"#")))


def is_routine(line: bytes) -> bool:
    """Whether a line is such a remark."""
    return _routine().match(line) is not None
