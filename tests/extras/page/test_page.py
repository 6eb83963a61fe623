"""The page, as a browser gets it, and the figures on it."""

import base64
import json
import os
import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from sandbox import Sandbox

from piku.extras.metrics import history
from piku.extras.metrics.history import HOUR, STEP
from tests.e2e.conftest import NewApp
from tests.e2e.support import App, refused, web, wsgi

HOST = "status.localhost"
HOSTILE = '<script>alert(1)</script> & "quoted" \''


class Text(HTMLParser):
    """The text of a page, and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), list[tuple[str, str | None]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


class Page:
    """The page on a server, and its password."""

    def __init__(self, server: Sandbox) -> None:
        said = server.piku("page:on", HOST, "--user", "ada")
        assert said.returncode == 0, said.stdout + said.stderr
        found = re.search(r"shown again: (\S+)", said.stdout)
        assert found
        self.server, self.password = server, found[1]

    def get(self, path: str = "/", password: str = "", method: str = "GET") -> tuple[int, Any, str]:
        pair = base64.b64encode(f"ada:{password or self.password}".encode()).decode()
        own = {"Authorization": f"Basic {pair}"}
        status, headers, body = self.server.get(HOST, path, https=True, headers=own, method=method)
        return status, headers, body.decode()

    def text(self, path: str = "/") -> str:
        assert self.server.piku("housekeeping").returncode == 0
        status, _, body = self.get(path)
        assert status == 200
        return Text(body).text


@pytest.fixture(scope="module")
def page(server: Sandbox) -> Page:
    assert server.piku("metrics:on").returncode == 0
    return Page(server)


def test_without_apps(page: Page) -> None:
    assert "No app yet" in page.text()
    status, headers, body = page.get()
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    found = Text(body)
    assert not found.tags & {"script", "iframe", "form", "img", "object"}
    links = [value for name, value in found.attributes if name in ("href", "src")]
    assert links == ["style.css", "metrics.prom"]
    assert page.get("/style.css")[0] == 200
    assert headers["Set-Cookie"] is None
    for path in ("/", "/style.css", "/metrics.prom"):
        assert page.get(path, password="wrong")[0] == 401
        assert [page.get(path, method=name)[0] for name in ("POST", "PUT", "DELETE")] == [405] * 3
    assert page.server.get(HOST)[0] == 301


def test_apps_and_what_they_did(page: Page, new_app: NewApp) -> None:
    app = new_app("shop", wsgi("shop"))
    # All in one step, which does not end meanwhile.
    page.server.wait(lambda: 10 < time.time() % STEP < STEP - 60, timeout=75)
    for _ in range(20):
        assert app.status() == 200
    page.server.wait(lambda: requests(app) == 20)
    # What came before the two minutes that are not over is shown.
    with (page.server.root / "metrics" / "shop.log").open("a") as log:
        log.writelines(f"{time.time() - 200 - n} 200 0.005\n" for n in range(60))
    assert re.search(r"shopupv1\d+ MB\d[\d.]*5 ms0self-signed", page.text())
    own = page.server.root / "data" / "status-page" / "app-shop.html"
    before = own.read_text()
    page.text()
    assert own.read_text() == before  # for ten minutes
    os.utime(own, 2 * (time.time() - 700,))
    shown = page.text("/app-shop.html")
    assert "wsgi.1" in shown and "Last month" in shown and "Latency: p50" in shown
    assert re.search(r"First versionsucceeded after [\d.]+ s", page.text())
    told = json.loads(app.does("metrics", "--since", "3h", "--json"))
    total = sum(value * told["step"] / 60 for _, value in told["figures"]["requests"])
    assert round(total) in (60, 80)  # with those of the step, once that has ended
    exported = page.get("/metrics.prom")[2]
    assert re.search(r'^piku_app_requests_per_minute\{app="shop"\} [\d.]+$', exported, re.M)
    assert 'piku_app_up{app="shop"} 1' in exported


def requests(app: App) -> int:
    """How many were counted in the last minutes."""
    assert app.server.piku("housekeeping").returncode == 0
    ring, now = app.server.root / "metrics" / f"{app.name}.ring", int(time.time())
    return sum(one.requests for one in history.read(ring, STEP, now - HOUR, now))


def test_a_failed_deploy_with_hostile_words(page: Page, new_app: NewApp) -> None:
    files = {**web("bad"), "server.py": f"print({HOSTILE!r})\nraise SystemExit(3)\n"}
    app = new_app("bad", files, push=False)
    app.commit(HOSTILE, again_txt="x")
    app.failed()
    shown = page.text("/app-bad.html")
    assert "The last deploy failed" in shown
    assert HOSTILE in shown  # as text
    assert HOSTILE[:30] in page.text()
    assert "script" not in Text(page.get("/app-bad.html")[2]).tags


def test_it_goes(page: Page) -> None:
    refused(page.server.piku("page:on", "other.localhost"), 1, "'status-page' is the page")
    said = page.server.piku("page:off")
    assert said.returncode == 0, said.stderr
    assert not (page.server.root / "data" / "status-page").exists()
    refused(page.server.piku("page:off"), 1, "there is no page")
    assert page.server.piku("metrics:off").returncode == 0
    assert not (page.server.root / "metrics").exists()


def test_a_page_that_is_destroyed_like_any_app_is_forgotten(server: Sandbox) -> None:
    Page(server)
    assert server.piku("destroy", "status-page", "--force").returncode == 0
    assert not (server.root / "data" / "status-page").exists()
    refused(server.piku("page:off"), 1, "there is no page")


def test_a_page_that_cannot_be_made_leaves_nothing(server: Sandbox) -> None:
    said = server.piku("page:on", "no host!")
    assert said.returncode == 1 and "NGINX_SERVER_NAME" in said.stderr, said.stderr
    assert "status-page" not in server.piku("apps", "--plain").stdout
