"""Requests that arrive just as an app goes to sleep."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox import Sandbox

from tests.e2e.support import App

WSGI = """\
import time
def app(environ, start_response):
    time.sleep(0.02)
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"ok"]
"""
WEB = """\
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args):
        pass
ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {
    "wsgi": {"Procfile": "wsgi: app:app\n", "app.py": WSGI},
    "web": {"Procfile": "web: exec python3 -IS app.py\n", "app.py": WEB},
}


@pytest.fixture
def sleepers(new_app: Callable[..., App]) -> Callable[[str, int], list[App]]:
    def make(kind: str, count: int) -> list[App]:
        names = [f"{kind}{number}" for number in range(count)]
        env = "NGINX_SERVER_NAME={}.localhost\nUWSGI_IDLE=1\n"
        return [new_app(name, {**FILES[kind], "ENV": env.format(name)}) for name in names]

    return make


def post(app: App) -> int:
    return int(app.server.get(app.host, method="POST", body=b"order")[0])


def test_what_uwsgi_serves(sleepers: Callable[[str, int], list[App]]) -> None:
    apps, rounds = sleepers("wsgi", 8), 12

    def aimed(number: int) -> list[int]:
        found = []
        for turn in range(rounds):
            begun = time.monotonic()
            found.append(post(apps[number]))
            # uWSGI looks once a second whether more than a second has passed.
            pause = 1.9 + 1.2 * (turn * len(apps) + number) / (len(apps) * rounds)
            time.sleep(max(0.0, begun + pause - time.monotonic()))
        return found

    with ThreadPoolExecutor(len(apps)) as pool:
        found = Counter(code for codes in pool.map(aimed, range(len(apps))) for code in codes)
    assert found == {200: len(apps) * rounds}


def test_a_web_app(sleepers: Callable[[str, int], list[App]], server: Sandbox) -> None:
    apps, found = sleepers("web", 3), Counter[int]()
    server.hold_ports()
    rounds, window = 8, 4.5  # seconds that housekeeping takes for all of them
    with ThreadPoolExecutor(8) as pool:
        for turn in range(rounds):
            time.sleep(1.1)
            due = pool.submit(server.piku, "housekeeping")

            def late(app: App, seconds: float) -> int:
                time.sleep(seconds)
                return post(app)

            delays = [window * (turn + number / 3) / rounds for number in range(3)]
            found.update(pool.map(late, apps, delays))
            assert due.result().returncode == 0
    assert found == {200: len(apps) * rounds}
    assert any("woken by a request" in app.does("logs", "--no-follow") for app in apps)
