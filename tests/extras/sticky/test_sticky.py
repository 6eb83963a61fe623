"""Clients that reach the same instance again: by their address, and by a cookie."""

import json

import pytest

from tests.e2e.conftest import NewApp
from tests.e2e.support import App, web, wsgi
from tests.web.client import of


def pids(app: App, *options: str, count: int = 12, https: bool = False) -> set[int]:
    return {of(app, "/about", *options, https=https).json["pid"] for _ in range(count)}


@pytest.mark.parametrize("kind", ["web", "wsgi"])
def test_sticky(new_app: NewApp, kind: str) -> None:
    files = {"web": web, "wsgi": wsgi}[kind](f"sticky{kind}")
    app = new_app(f"sticky{kind}", files, push=False)
    app.does("ps:scale", f"{kind}=2")
    app.deployed()
    assert len(pids(app)) == 2
    app.does("config:set", "PIKU_STICKY=ip")
    assert len(pids(app)) == 1
    app.does("config:set", "PIKU_STICKY=cookie")
    assert len(pids(app, count=24)) == 2
    for https in (False, True):
        first = of(app, "/about", https=https)
        cookie = first.header("Set-Cookie")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax" + "; Secure" * https)
        again = ("--header", f"Cookie: {cookie.partition(';')[0]}")
        assert pids(app, *again, https=https) == {json.loads(first.text)["pid"]}
        assert of(app, "/about", *again, "--data", "x", https=https).header("Set-Cookie") == ""
