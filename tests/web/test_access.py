"""Names and addresses: where each leads, and what is always answered."""

import subprocess

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.web.client import answers, curl, nobody_answers, of

CHALLENGE = "/.well-known/acme-challenge"


@pytest.fixture
def challenge(server: Sandbox) -> str:
    """An answer to an authority, as a program that gets certificates puts it."""
    folder = server.root / "acme" / CHALLENGE.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token-1").write_text("token-1.thumbprint")
    return f"{CHALLENGE}/token-1"


def test_other_names_lead_to_the_first(new_app: NewApp, challenge: str) -> None:
    app = new_app(
        "moved",
        answers("web", "moved", "NGINX_REDIRECT_FROM=www.moved.localhost,old.localhost\n"),
    )
    server = app.server
    for name in ("www.moved.localhost", "old.localhost"):
        for https, scheme, port in (
            (False, "http", server.http_port),
            (True, "https", server.https_port),
        ):
            answer = curl(server, name, "/a%20b/?q=%2F&r=1", https=https)
            assert answer.status == 301
            assert (
                answer.header("Location") == f"{scheme}://moved.localhost:{port}/a%20b/?q=%2F&r=1"
            )
        assert curl(server, name, challenge).text == "token-1.thumbprint"
    assert of(app, "/a").json["path"] == of(app, "/a", https=True).json["path"] == "/a"
    app.does("config:set", "NGINX_HTTPS_ONLY=true")
    plain = curl(server, "old.localhost", "/x?y")
    assert plain.header("Location") == f"https://moved.localhost:{server.https_port}/x?y"
    assert of(app, "/x?y").header("Location") == f"https://moved.localhost:{server.https_port}/x?y"
    assert of(app, challenge).text == "token-1.thumbprint"
    assert curl(server, "old.localhost", challenge).text == "token-1.thumbprint"
    # A name that leads to one app belongs to it.
    result = new_app(
        "taker", answers("web", "taker", "NGINX_REDIRECT_FROM=OLD.localhost\n"), push=False
    ).push()
    assert result.returncode == 1 and "old.localhost belongs to the app 'moved'" in result.stdout


def test_an_unknown_host_gets_an_answer_to_an_authority_alone(
    server: Sandbox, challenge: str
) -> None:
    assert curl(server, "nobody.localhost", challenge).text == "token-1.thumbprint"
    assert (
        curl(server, "nobody.localhost", challenge).header("Content-Type").startswith("text/plain")
    )
    for path in (f"{CHALLENGE}/missing", f"{CHALLENGE}/", CHALLENGE + "/..%2f..%2f..%2fENV"):
        assert curl(server, "nobody.localhost", path).status in (400, 404)
    for path in ("/", CHALLENGE, "/.well-known/other"):
        assert nobody_answers(server, "nobody.localhost", path)
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.https_port}", "-servername", "nobody.localhost"],
        input="", capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert "no peer certificate available" in shown.stdout


def test_an_address_of_its_own(new_app: NewApp) -> None:
    app = new_app(
        "apart", answers("web", "apart", "NGINX_IPV4_ADDRESS=127.0.0.3\nDISABLE_IPV6=true\n")
    )
    assert curl(app.server, app.host, "/x", at="127.0.0.3").json["path"] == "/x"
    assert curl(app.server, app.host, "/x", at="127.0.0.3", https=True).json["path"] == "/x"
    assert nobody_answers(app.server, app.host)
    assert nobody_answers(app.server, "other.localhost", at="127.0.0.3")
    result = app.says("config:set", "NGINX_IPV4_ADDRESS=203.0.113.9")
    assert result.returncode == 1
    assert "NGINX_IPV4_ADDRESS=203.0.113.9" in result.stderr
    assert curl(app.server, app.host, "/x", at="127.0.0.3").status == 200


def test_an_address_of_one_app_cuts_nobody_off(own_server: Sandbox, new_app: NewApp) -> None:
    """nginx knows only the servers that name an address where one of them does."""
    own_server.stop_platform()
    own_server.start_platform("--host", "0.0.0.0")  # noqa: S104 -- the sandbox's own is 127.0.0.1
    files = {"Procfile": "static: .\n", "index.html": "page"}
    other = new_app("other", {**files, "ENV": "NGINX_SERVER_NAME=other.localhost\n"}, on=own_server)

    def answers_everywhere() -> None:
        for at in ("127.0.0.1", "127.0.0.3", "127.0.0.4"):
            for https in (False, True):
                assert curl(own_server, other.host, https=https, at=at).text == "page", at
            assert nobody_answers(own_server, "nobody.localhost", at=at)

    answers_everywhere()
    env = "NGINX_SERVER_NAME=apart.localhost\nNGINX_IPV4_ADDRESS=127.0.0.3\n"
    apart = new_app("apart", {**files, "ENV": env}, on=own_server)
    for mine, foreign in (("127.0.0.3", "127.0.0.4"), ("127.0.0.4", "127.0.0.3")):
        apart.does("config:set", f"NGINX_IPV4_ADDRESS={mine}")
        answers_everywhere()
        assert curl(own_server, apart.host, at=mine).text == "page"
        assert nobody_answers(own_server, apart.host, at=foreign)
        assert nobody_answers(own_server, apart.host)
    other.does("restart")
    answers_everywhere()
    apart.does("destroy", "--force")
    answers_everywhere()
    assert not any(
        "127.0.0." in file.read_text() for file in (own_server.root / "nginx").glob("*.conf")
    )
