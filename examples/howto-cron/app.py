"""Shows the last report."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

report = Path(os.environ.get("DATA_ROOT", "."), "report.txt")


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [report.read_bytes() if report.exists() else b"There is no report yet.\n"]
