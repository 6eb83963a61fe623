"""Who is let in, and how much may be asked."""

import shlex
import subprocess
from pathlib import Path

import pytest
from sandbox import Sandbox, run

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.web.client import Answer, answers, of

CHALLENGE = "/.well-known/acme-challenge"
PASSWORD = "pass word's $ecret"


def hashed(kind: str, password: str = PASSWORD) -> str:
    return subprocess.run(
        ["openssl", "passwd", kind, "-stdin"],
        input=password,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def challenge(server: Sandbox) -> str:
    """An answer to an authority, as a program that gets certificates puts it."""
    folder = server.root / "acme" / CHALLENGE.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token-1").write_text("token-1.thumbprint")
    return f"{CHALLENGE}/token-1"


def test_passwords(new_app: NewApp, challenge: str) -> None:
    app = new_app(
        "closed", answers("web", "closed", "NGINX_STATIC_PATHS=/files:public\n", public__a_txt="a")
    )
    strong, old = hashed("-6"), hashed("-apr1")
    # As a person gives it: double quotes, so that the client's shell puts the hash in and leaves its dollars.
    ssh = shlex.join(["ssh", *app.server.ssh_options(), app.server.address])
    given = run(["sh", "-c", f'{ssh} config:set closed "NGINX_BASIC_AUTH=alice:$(cat)"'],
                env=app.server.client_env(), text=f"{strong},bob:{old}\n")  # fmt: skip
    assert given.returncode == 0, given.stderr
    assert strong not in given.stdout + given.stderr
    for path in ("/", "/files/a.txt", "/files", "/missing"):
        for options in (
            (),
            ("--user", "alice:wrong"),
            ("--user", f"carol:{PASSWORD}"),
            ("--user", "alice:"),
        ):
            answer = of(app, path, *options)
            if path == "/files":
                continue
            assert answer.status == 401, (path, options)
            assert answer.header("WWW-Authenticate") == 'Basic realm="closed"'
    for user in ("alice", "bob"):
        login = ("--user", f"{user}:{PASSWORD}")
        assert of(app, "/x", *login).json["path"] == "/x"
        assert of(app, "/x", *login, https=True).json["path"] == "/x"
        assert of(app, "/files/a.txt", *login).text == "a"
        assert of(app, "/files/missing", *login).status == 404
    assert of(app, challenge).text == "token-1.thumbprint"
    assert app.does("config:get", "NGINX_BASIC_AUTH").strip() == f"alice:{strong},bob:{old}"
    kept = list((app.server.root / "releases" / "closed").glob("passwords@*"))
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]

    # A preflight has no password; nothing else comes through with it.
    preflight = ("--request", "OPTIONS", "--header", "Access-Control-Request-Method: PUT")
    assert of(app, "/x", *preflight).status == 401
    app.does("config:set", "NGINX_BASIC_AUTH_PREFLIGHT=true")
    assert of(app, "/x", *preflight).status != 401
    assert of(app, "/x", "--request", "OPTIONS").status == 401
    assert of(app, "/x", *preflight[2:]).status == 401

    # A page of the app's own for who is not let in.
    app.server.commit(app.repository, {"errors/401.html": "our 401"})
    app.deployed()
    app.does("config:set", "NGINX_ERROR_PAGES=401:errors/401.html")
    refusal = of(app, "/")
    assert (refusal.status, refusal.text) == (401, "our 401")
    assert refusal.header("WWW-Authenticate") == 'Basic realm="closed"'

    # A password itself is refused, and stands nowhere afterwards.
    for value in (
        f"alice:{PASSWORD}",
        PASSWORD,
        f"alice:{strong},bob:{PASSWORD}",
        f"alice:{strong}:{PASSWORD}",
    ):
        result = app.says("config:set", f"NGINX_BASIC_AUTH={value}")
        assert result.returncode == 1
        assert "NGINX_BASIC_AUTH: " in result.stderr and "openssl passwd -6" in result.stderr
        assert PASSWORD not in result.stdout + result.stderr
    # In a repository's ENV a hash stands in single quotes: it is full of dollars.
    app.does("config:unset", "NGINX_BASIC_AUTH")
    assert of(app, "/").status == 200
    app.commit(
        ENV=f"NGINX_SERVER_NAME=closed.localhost\nNGINX_BASIC_AUTH='alice:plain-{app.name}-password'\n"
    )
    said = app.failed()
    assert "is not a hash: make one with `openssl passwd -6`" in "\n".join(said)
    assert f"plain-{app.name}-password" not in "\n".join(said)
    assert PASSWORD not in everything(app) and f"plain-{app.name}-password" not in everything(app)
    assert of(app, "/").status == 200
    env = "NGINX_SERVER_NAME=closed.localhost\nNGINX_BASIC_AUTH={}\n"
    app.commit(ENV=env.format(f"'dora:{strong}'"))
    app.deployed()
    assert (of(app, "/").status, of(app, "/", "--user", f"dora:{PASSWORD}").status) == (401, 200)
    assert len(list((app.server.root / "releases" / "closed").glob("passwords@*"))) == 1


def everything(app: App) -> str:
    """All that is kept of an app beside its commits, and what its commands show."""
    root = app.server.root
    places = [root / "releases" / app.name / "starts", root / "nginx"]
    places += [root / folder / app.name for folder in ("logs", "envs")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    files += (root / "releases" / app.name).glob("*[@.]*")  # records, not the checkouts
    shown = [app.does(command) for command in ("config", "config:live", "releases")]
    return "\n".join([*(path.read_text(errors="replace") for path in files), *shown])


def test_how_much_may_be_asked(new_app: NewApp, challenge: str) -> None:
    app = new_app("limited", answers("wsgi", "limited", "NGINX_RATE_LIMIT='2/m burst=3'\n"))

    def client(address: str) -> list[int]:
        return [of(app, "/", "--interface", address).status for _ in range(6)]

    assert client("127.0.0.1") == [200] * 4 + [429] * 2
    assert client("127.0.0.2") == [200] * 4 + [429] * 2  # each client has its own
    assert {of(app, challenge).status for _ in range(3)} == {200}
    app.does("config:set", "NGINX_RATE_LIMIT=100/s")
    assert of(app, "/").status == 200
    app.does("config:set", "NGINX_RATE_LIMIT=")
    assert [of(app, "/").status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize("kind", ["web", "wsgi"])
def test_large_bodies_and_slow_answers(new_app: NewApp, kind: str, tmp_path: Path) -> None:
    name = f"slow{kind}"
    app = new_app(name, answers(kind, name, "NGINX_MAX_BODY_SIZE=100k\nNGINX_PROXY_TIMEOUT=1\n"))
    body = tmp_path / "body"

    def sent(size: int) -> Answer:
        body.write_bytes(b"x" * size)
        return of(app, "/", "--header", "Expect:", "--data-binary", f"@{body}")

    assert sent(100_000).json["received"] == 100_000
    assert sent(103_000).status == 413
    late = of(app, "/?sleep=1.5")
    assert late.status == 504
    assert of(app, "/?sleep=0.3").status == 200
    app.does("config:set", "NGINX_MAX_BODY_SIZE=80M", "NGINX_PROXY_TIMEOUT=20")
    assert of(app, "/?sleep=1.2").status == 200
    assert sent(66_000_000).json["received"] == 66_000_000
    # One that has no answer for a request is asked once.
    first = of(app, "/").json["number"]
    assert of(app, "/").json["number"] == first + 1


def test_a_limit_counts_the_clients_of_cloudflare(new_app: NewApp) -> None:
    env = "NGINX_RATE_LIMIT='1/m burst=1'\nNGINX_CLOUDFLARE_ACL=true\n"
    app = new_app("behind", answers("web", "behind", env), push=False)
    (app.server.root / "nginx" / "cloudflare.txt").write_text("127.0.0.2/32\n2001:db8::/32\n")
    app.deployed()
    for client in ("192.0.2.7", "192.0.2.8"):
        options = ("--interface", "127.0.0.2", "--header", f"CF-Connecting-IP: {client}")
        assert [of(app, "/", *options).status for _ in range(3)] == [200, 200, 429]
