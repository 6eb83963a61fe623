"""Answers with its version; /slow takes a second."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

VERSION = Path(__file__).with_name("version").read_bytes()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    start_response(
        "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(VERSION)))]
    )
    return [VERSION]
