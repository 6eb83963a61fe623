"""A `wsgi` app for tests: says what it was started with and what it was asked."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

VERSION = Path("version.txt").read_text().strip() if Path("version.txt").exists() else "one"
if Path("crash.txt").exists():
    raise SystemExit(Path("crash.txt").read_text())


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    text = VERSION
    if environ["PATH_INFO"] == "/about":
        asked = {name: value for name, value in environ.items() if isinstance(value, str)}
        text = json.dumps(
            {"version": VERSION, "pid": os.getpid(), "env": dict(os.environ), "environ": asked}
        )
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
