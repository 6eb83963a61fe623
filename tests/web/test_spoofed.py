"""What a client says in headers that only a proxy should set: no app sees it."""

from collections.abc import Callable

import pytest
from sandbox import HOST

from tests.e2e.support import App, web, wsgi
from tests.web.client import of

Ask = Callable[..., dict[str, str]]
VISITOR = "203.0.113.9"
# What frameworks and servers take for the words of a proxy in front of them.
FORGED = (
    "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "X-Cluster-Client-IP",
    "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "X-Url-Scheme", "X-Scheme",
    "Front-End-Https", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "Forwarded",
    "X-Original-URL", "X-Rewrite-URL", "X-Sendfile-Type", "X-Accel-Mapping", "Proxy",
)  # fmt: skip


@pytest.fixture(scope="module", params=[web, wsgi], ids=["web", "wsgi"])
def app(request: pytest.FixtureRequest, new_app: Callable[..., App]) -> App:
    name = f"forged{request.param.__name__}"
    return new_app(name, request.param(name))


def seen(app: App, *headers: str, https: bool = False) -> dict[str, str]:
    """The headers that the app sees of a request with these."""
    words = (word for header in headers for word in ("--header", header))
    told = of(app, "/about", *words, https=https).json
    if "headers" in told:
        return dict(told["headers"])
    pairs = told["environ"].items()
    # An empty variable is what programs take for none.
    return {
        name[5:].lower().replace("_", "-"): text
        for name, text in pairs
        if name.startswith("HTTP_") and text
    }


def test_no_header_of_a_proxy_is_believed(app: App) -> None:
    for https, value in (
        (False, "https"),
        (True, "http"),
        (False, "evil.example"),
        (True, VISITOR),
    ):
        honest = seen(app, https=https)
        assert honest["x-forwarded-for"] == honest["x-real-ip"] == HOST
        lies = [f"{name}: {value}" for name in FORGED]
        # To many programs a name with underscores is the one with hyphens; nginx drops it.
        lies += [f"{name.replace('-', '_')}: {value}" for name in FORGED if "-" in name]
        told = seen(app, *lies, https=https)
        assert {**told, "x-request-start": ""} == {**honest, "x-request-start": ""}
    assert seen(app, "X-Forwarded-Fox: a")["x-forwarded-fox"] == "a"


def test_a_proxy_in_front_is_believed_on_request(app: App) -> None:
    env = f"NGINX_SERVER_NAME={app.host}\n"
    app.commit(ENV=f"{env}UWSGI_LOG_X_FORWARDED_FOR=true\n")
    app.deployed()
    told = seen(app, f"X-Forwarded-For: {VISITOR}")
    assert (told["x-forwarded-for"], told["x-real-ip"]) == (f"{VISITOR}, {HOST}", HOST)
    front = app.server.root / "nginx" / "front.conf"
    front.write_text(f"set_real_ip_from {HOST};\nreal_ip_header X-Forwarded-For;\n")
    try:
        app.commit(ENV=env)
        app.deployed()
        told = seen(app, f"X-Forwarded-For: 198.51.100.1, {VISITOR}")
    finally:
        front.unlink()
    assert told["x-forwarded-for"] == told["x-real-ip"] == VISITOR
