"""Cloudflare's networks: what a real server answers, and what is used when that is no good."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from piku.extras.cloudflare import refresh
from piku.nginx.main_config import cloudflare_networks
from piku.paths import Paths

GOOD = {"ipv4_cidrs": ["192.0.2.0/24", "198.51.100.0/22"], "ipv6_cidrs": ["2001:db8::/32"]}


class Api:
    """A server of our own that answers as it is told."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.seconds = 0.0
        self.asked = 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked += 1
                api.ended.wait(api.seconds)
                self.send_response(api.status)
                if api.status == 302:
                    self.send_header("Location", "file:///etc/passwd")
                self.end_headers()
                self.wfile.write(api.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.ended = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/client/v4/ips"

    def says(self, value: Any) -> None:
        self.body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def end(self) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    found.says({"success": True, "result": GOOD})
    yield found
    found.end()


def keep(paths: Paths, fetched: float, *networks: str) -> None:
    paths.cloudflare.write_text("\n".join(networks))
    os.utime(paths.cloudflare, (fetched, fetched))


def test_what_it_says_is_kept_for_a_day(paths: Paths, api: Api) -> None:
    assert "104.16.0.0/13" in cloudflare_networks(paths), "those that come with piku"
    assert refresh.refresh(paths, api.url) == ""
    assert cloudflare_networks(paths) == ("192.0.2.0/24", "198.51.100.0/22", "2001:db8::/32")
    assert refresh.refresh(paths, api.url) == ""
    assert api.asked == 1
    for seconds, asked in ((-90_000, 2), (+90_000, 3)):  # a day ago; before the clock was set right
        keep(paths, time.time() + seconds, "192.0.2.0/24")
        assert refresh.refresh(paths, api.url) == ""
        assert api.asked == asked


def with_ipv4(*networks: str) -> dict[str, object]:
    return {"success": True, "result": {**GOOD, "ipv4_cidrs": networks}}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "not a list of networks"),
        (b"<html>", "not a list of networks"),
        (b"[" * 900_000, "not a list of networks"),
        (b"[]", "not a list of networks"),
        (b"null", "not a list of networks"),
        ({"success": True, "result": None}, "not a list of networks"),
        ({"success": True, "result": {"ipv4_cidrs": GOOD["ipv4_cidrs"]}}, "not a list of networks"),
        ({"success": True, "result": {**GOOD, "ipv6_cidrs": None}}, "not a list of networks"),
        ({"success": True, "result": {**GOOD, "ipv6_cidrs": []}}, "both IPv4 and IPv6"),
        ({"success": True, "result": {**GOOD, "ipv4_cidrs": []}}, "both IPv4 and IPv6"),
        ({"success": True, "result": {**GOOD, "ipv6_cidrs": ["::/0"]}}, "too wide"),
        (with_ipv4("0.0.0.0/0"), "too wide"),
        (with_ipv4("0.0.0.0/1", "128.0.0.0/1"), "too wide"),
        (with_ipv4(*(f"{number}.0.0.0/8" for number in range(256))), "257 networks"),
        (with_ipv4(*(f"{number}.0.0.0/12" for number in range(9))), "too wide together"),
        ({"success": True, "result": {**GOOD, "ipv6_cidrs": ["2400::/25"]}}, "IPv6 networks"),
        (with_ipv4("192.0.2.1/24"), "host bits"),
        (with_ipv4("192.0.2.0/24; }"), "does not appear"),
    ],
)
def test_what_is_no_good_is_not_used(paths: Paths, api: Api, said: object, reason: str) -> None:
    api.says(said)
    refused(paths, api.url, reason)


def refused(paths: Paths, url: str, reason: str) -> None:
    """The list that comes with piku is used, then the one last fetched; the warning says which."""
    shipped = cloudflare_networks(paths)
    warning = refresh.refresh(paths, url)
    assert reason in warning and warning.endswith("using those that come with piku")
    assert "\n" not in warning
    assert cloudflare_networks(paths) == shipped and not paths.cloudflare.exists()
    keep(paths, 1_750_000_000, "192.0.2.0/24", "2001:db8::/32")
    assert refresh.refresh(paths, url).endswith("using those of 2025-06-15")
    assert cloudflare_networks(paths) == ("192.0.2.0/24", "2001:db8::/32")


@pytest.mark.parametrize(
    ("tell", "reason"),
    [
        (lambda api: setattr(api, "status", 500), "error: 500"),
        (lambda api: setattr(api, "status", 302), "file"),
        (lambda api: api.end(), "onnect"),
    ],
    ids=["error", "redirect", "gone"],
)
def test_no_answer(paths: Paths, api: Api, tell: Callable[[Api], None], reason: str) -> None:
    tell(api)
    refused(paths, api.url, reason)


def test_an_answer_that_does_not_come_is_not_waited_for(paths: Paths, api: Api) -> None:
    api.seconds = 30
    begun = time.monotonic()
    assert "timed out" in refresh.refresh(paths, api.url)
    assert time.monotonic() - begun < 25
