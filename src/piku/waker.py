"""The small WSGI app that nginx asks to wake a sleeping `web` app; the platform's own, and asleep itself
while nobody needs it.

nginx keeps the request that met nobody. Once the app listens, the answer here tells nginx to pass the
request on (`X-Accel-Redirect` to a named location, which leaves method and body as they are).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from piku.deploy import sleeping
from piku.errors import PikuError
from piku.paths import AppName, Paths

AWAKE = "@piku-awake"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Wake the app that PIKU_APP names."""
    paths = Paths.from_environment(os.environ)
    app = paths.app(AppName.parse(environ["PIKU_APP"]))
    try:
        took = sleeping.wake(paths, app)
    except PikuError as error:
        print(f"{app.name}: {error.message}", flush=True)
        start_response("503 Service Unavailable", [("Retry-After", "10"), ("Content-Type", "text/plain")])
        return [b"This app could not be woken up.\n"]
    print(f"{app.name}: woken in {took:.2f} s", flush=True)
    start_response("200 OK", [("X-Accel-Redirect", AWAKE)])
    return []
