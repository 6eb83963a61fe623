"""The WSGI app that nginx asks to wake a sleeping `web` app; it sleeps itself until then.

nginx keeps the request. Once the app listens, the answer here has nginx pass the request on
(`X-Accel-Redirect` to a named location, which leaves method and body as they are).
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.extras.idle.site import AWAKE
from piku.paths import AppName, Paths

_MOST = 50  # requests that wait for one app: one that does not listen must leave threads for others


class Waker:
    """One request wakes an app; others that come meanwhile wait for it as well."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waking: dict[AppName, Future[bool]] = {}
        self._waiting: Counter[AppName] = Counter()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if self._awake(AppName.parse(environ["PIKU_APP"])):
            start_response("200 OK", [("X-Accel-Redirect", AWAKE)])
            return []
        headers = [("Retry-After", "10"), ("Content-Type", "text/plain")]
        start_response("503 Service Unavailable", headers)
        return [b"This app could not be woken up.\n"]

    def _awake(self, name: AppName) -> bool:
        with self._guard:
            if self._waiting[name] == _MOST:
                return False
            self._waiting[name] += 1
            first = name not in self._waking
            future = self._waking.setdefault(name, Future())
        try:
            if first:
                self._lead(name, future)
            return future.result()
        finally:
            with self._guard:
                self._waiting[name] -= 1

    def _lead(self, name: AppName, future: Future[bool]) -> None:
        woken, paths = False, Paths.from_environment(os.environ)
        try:
            sleeping.wake(paths, paths.app(name))
            woken = True
        except PikuError as error:
            print(error.message, flush=True)
        finally:
            with self._guard:
                del self._waking[name]
            future.set_result(woken)


application = Waker()
