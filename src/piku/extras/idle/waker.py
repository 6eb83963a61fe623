"""The WSGI app that nginx asks to wake a sleeping `web` app: a vassal of the platform, which starts when
nginx connects to its socket and ends when nobody needs it.

nginx keeps the request. Once the app listens, the answer here has nginx pass the request on
(`X-Accel-Redirect` to a named location, which leaves method and body as they are).
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import piku
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.nginx.site import Site
from piku.paths import AppName, Paths
from piku.uwsgi import housekeeping, ini

AWAKE = "@piku-awake"
_THREADS = 128
_MOST = 50  # requests that wait for one app: one that does not listen must leave threads for others


def socket_path(paths: Paths) -> Path:
    return paths.uwsgi / "waker.sock"


def vassals(paths: Paths, sites: Collection[Site]) -> dict[str, str]:
    """The waker's own vassal, while there is an app to wake."""
    if not any(site.sleeps for site in sites):
        return {}
    options = (
        ("env", f"PIKU_ROOT={paths.root}"),
        ("env", f"HOME={paths.home}"),
        ("plugins", "python3"),
        ("pythonpath", str(Path(piku.__file__).resolve().parents[1])),
        ("module", f"{__name__}:application"),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        ("processes", "1"),
        ("threads", str(_THREADS)),
        ("disable-logging", "true"),
        *ini.idle(30),
    )
    text = housekeeping.vassal(paths, "waker", options)
    return {"@waker.ini": text, f"@waker.ini{ini.DEMAND}": str(socket_path(paths))}


class Answer(NamedTuple):
    """What nginx gets."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = b""


_AWAKE = Answer("200 OK", [("X-Accel-Redirect", AWAKE)])
_FAILED = Answer(
    "503 Service Unavailable",
    [("Retry-After", "10"), ("Content-Type", "text/plain")],
    b"This app could not be woken up.\n",
)


class Waker:
    """One request wakes an app; others that come meanwhile wait for the same answer."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waking: dict[AppName, Future[Answer]] = {}
        self._waiting: Counter[AppName] = Counter()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        answer = self._answer(AppName.parse(environ["PIKU_APP"]))
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, name: AppName) -> Answer:
        with self._guard:
            if self._waiting[name] == _MOST:
                return _FAILED
            self._waiting[name] += 1
            found = self._waking.get(name)
            future = found or self._waking.setdefault(name, Future())
        try:
            return future.result() if found else self._lead(name, future)
        finally:
            with self._guard:
                self._waiting[name] -= 1

    def _lead(self, name: AppName, future: Future[Answer]) -> Answer:
        answer = _FAILED
        try:
            answer = _wake(name)
        finally:
            with self._guard:
                del self._waking[name]
            future.set_result(answer)
        return answer


def _wake(name: AppName) -> Answer:
    paths = Paths.from_environment(os.environ)
    try:
        took = sleeping.wake(paths, paths.app(name))
    except PikuError as error:
        print(f"{name}: {error.message}", flush=True)
        return _FAILED
    print(f"{name}: woken in {took:.2f} s", flush=True)
    return _AWAKE


application = Waker()
