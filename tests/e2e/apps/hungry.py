"""A `wsgi` app, and a program for `web` or a worker, that takes what it is told to of the server."""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from wsgiref.simple_server import make_server

HELD: list[bytes] = []
GO_ON = threading.Event()


def eat(megabytes: int) -> str:
    """Take so much memory, and keep it."""
    HELD.append(b"x" * (megabytes << 20))
    return "eaten"


def burn(milliseconds: int) -> str:
    """Take so much time of a processor; says how many milliseconds passed meanwhile."""
    begun, enough = time.monotonic(), time.thread_time() + milliseconds / 1000
    while time.thread_time() < enough:
        pass
    return str(int((time.monotonic() - begun) * 1000))


def threads(most: int) -> str:
    """Start so many threads, and end them; says how many there could be."""
    started = []
    with contextlib.suppress(RuntimeError):
        for _ in range(most):
            thread = threading.Thread(target=GO_ON.wait)
            thread.start()
            started.append(thread)
    GO_ON.set()
    for thread in started:
        thread.join()
    GO_ON.clear()
    return str(len(started))


def about(_: int) -> str:
    return json.dumps({"pid": os.getpid(), "cgroup": Path("/proc/self/cgroup").read_text()})


DOES: dict[str, Callable[[int], str]] = {
    "eat": eat,
    "burn": burn,
    "threads": threads,
    "about": about,
}


def app(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    name, _, number = environ["PATH_INFO"].strip("/").partition("/")
    text = DOES[name](int(number or 0)) if name in DOES else "one"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


if Path("greedy.txt").exists():
    eat(int(Path("greedy.txt").read_text()))

if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        print(Path("/proc/self/cgroup").read_text(), flush=True)
        GO_ON.wait()
    make_server(os.environ["BIND_ADDRESS"], int(os.environ["PORT"]), app).serve_forever()  # type: ignore[arg-type]
