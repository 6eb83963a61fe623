"""Apps that share a host name, each below its own path."""

import socket
import subprocess
from pathlib import Path

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.web.client import Answer, command, curl, nobody_answers

APP = (Path(__file__).parent / "app.py").read_text()
KINDS = {"wsgi": "wsgi: app:app\n", "web": "web: exec python3 -IS app.py\n"}
SECURE = pytest.mark.parametrize("https", [False, True])


def files(kind: str, names: str, env: str = "", **more: str) -> dict[str, str]:
    """An app of a kind with these host names; `static` has only the files in `more`."""
    found = {"ENV": f"NGINX_SERVER_NAME={names}\n{env}", **more}
    if kind in KINDS:
        return {"Procfile": KINDS[kind], "app.py": APP, **found}
    return {"Procfile": "static: public\n", **found}


@pytest.fixture(scope="module")
def shop(server: Sandbox, new_app: NewApp) -> dict[str, App]:
    """shop.localhost: one app of each kind below a path, and one that has the rest, pushed last."""
    pages = {
        "public/index.html": "start",
        "public/docs/index.html": "docs",
        "public/.env": "secret",
    }
    return {
        "wiki": new_app("wiki", files("wsgi", "shop.localhost/wiki")),
        "blog": new_app("blog", files("web", "shop.localhost/blog")),
        "help": new_app("help", files("static", "shop.localhost/a/help", **pages)),
        "kept": new_app("kept", files("web", "shop.localhost/kept", "NGINX_KEEP_PREFIX=true\n")),
        "root": new_app("root", files("wsgi", "shop.localhost, other.localhost")),
    }  # fmt: skip


def ask(app: App, path: str, *options: str, https: bool = False, host: str = "shop") -> Answer:
    return curl(app.server, f"{host}.localhost", path, *options, https=https)


@SECURE
def test_each_app_answers_below_its_path(shop: dict[str, App], https: bool) -> None:
    one = shop["root"]
    for path, name in (
        ("/", "root"), ("/blo", "root"), ("/blogs", "root"), ("/a/", "root"), ("/wiki/", "wiki"),
        ("/wiki/page", "wiki"), ("/blog/", "blog"), ("/kept", "kept"), ("/kept/x", "kept"),
    ):  # fmt: skip
        answer = ask(one, path, https=https)
        assert answer.json["name"] == name, path
        assert answer.protocol == ("HTTP/2" if https else "HTTP/1.1")
    for path in ("/wiki", "/blog", "/a/help"):
        moved = ask(one, f"{path}?a=b", https=https)
        assert (moved.status, moved.header("Location")) == (301, f"{path}/?a=b")
    assert ask(one, "/a/help/", https=https).text == "start"
    assert ask(one, "/a/help/docs", https=https).header("Location") == "/a/help/docs/"
    assert ask(one, "/a/help/docs/", https=https).text == "docs"
    for hidden in ("/a/help/.env", "/a/help/none"):
        assert ask(one, hidden, https=https).status == 404
    # Another name of the app that has the rest is its own.
    assert ask(one, "/blog/", https=https, host="other").json["name"] == "root"


@SECURE
def test_what_an_app_is_told(shop: dict[str, App], server: Sandbox, https: bool) -> None:
    lies = [
        option
        for header in (
            "X-Forwarded-Prefix: /lie", "X-Forwarded-Proto: ftp", "X-Forwarded-Port: 1",
            "X-Real-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.7", "Script-Name: /lie",
        )
        for option in ("-H", header)
    ]  # fmt: skip
    scheme, port = ("https", server.https_port) if https else ("http", server.http_port)
    for path, prefix, seen in (
        ("/wiki/a%2Fb?c=d", "/wiki", "/a/b"), ("/blog/a%2Fb?c=d", "/blog", "/a%2Fb?c=d"),
        ("/kept/a%2Fb?c=d", "", "/kept/a%2Fb?c=d"), ("/a%2Fb", "", "/a/b"),
    ):  # fmt: skip
        told = ask(shop["root"], path, *lies, https=https).json
        headers = told["headers"]
        assert told["path"] == seen
        assert headers.get("x-forwarded-prefix", "") == prefix
        assert headers["x-forwarded-proto"] == scheme
        assert headers["x-forwarded-port"] == str(port)
        assert headers["host"] == headers["x-forwarded-host"] == f"shop.localhost:{port}"
        assert headers["x-real-ip"] == headers["x-forwarded-for"] == HOST
        if "script" in told:
            assert (told["script"], told["scheme"]) == (prefix, scheme)
            assert (told["port"], told["client"]) == (str(port), HOST)
    # An app that shares no name is told no prefix either.
    told = ask(shop["root"], "/", *lies, https=https, host="other").json
    assert (told["script"], told["scheme"], told["client"]) == ("", scheme, HOST)


@SECURE
def test_redirects_and_cookies_get_the_prefix(shop: dict[str, App], https: bool) -> None:
    for path, to, becomes in (
        ("/blog", "/login", "/blog/login"),
        ("/blog", "/", "/blog/"),
        ("/blog", "/blog/login", "/blog/login"),
        ("/blog", "/blogs", "/blog/blogs"),
        ("/blog", "page", "page"),
        ("/blog", "https://shop.localhost:8443/login", "https://shop.localhost:8443/blog/login"),
        ("/blog", "http://shop.localhost/blog/x", "http://shop.localhost/blog/x"),
        ("/blog", "https://elsewhere.example/login", "https://elsewhere.example/login"),
        ("/blog", "//elsewhere.example/login", "//elsewhere.example/login"),
        ("/wiki", "/login", "/wiki/login"),
        ("/kept/..", "/login", "/login"),
    ):
        answer = ask(shop["root"], f"{path}/moved?to={to}", https=https)
        assert answer.header("Location") == becomes
    for given, becomes in (("/", "/blog/"), ("/blog", "/blog"), ("/x", "/blog/x")):
        answer = ask(shop["root"], f"/blog/cookie?path={given}", https=https)
        assert answer.header("Set-Cookie") == f"a=b; Path={becomes}"


@SECURE
def test_bodies_streams_and_upgrades(
    shop: dict[str, App], server: Sandbox, tmp_path: Path, https: bool
) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"x" * 3_000_000)
    for path in ("/wiki/", "/blog/"):
        for options in ((), ("-H", "Transfer-Encoding: chunked")):
            sent = ("--data-binary", f"@{upload}", *options)
            assert ask(shop["root"], path, *sent, https=https).json["size"] == 3_000_000
    asked = command(server, "shop.localhost", "/blog/events", "--no-buffer", https=https)
    with subprocess.Popen(asked, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.read(5) == b"event"
        assert client.poll() is None, "the second one has not been sent yet"
    if not https:
        with socket.create_connection((HOST, server.http_port), timeout=10) as raw:
            raw.sendall(
                b"GET /blog/ws HTTP/1.1\r\nHost: shop.localhost\r\n"
                b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n"
            )
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"hello\n")


def test_an_app_s_own_settings(shop: dict[str, App]) -> None:
    wiki, root = shop["wiki"], shop["root"]
    # What the others do in their servers concerns nobody else.
    root.does("maintenance:on")
    assert (ask(root, "/").status, ask(root, "/blog/").status) == (503, 200)
    root.does("maintenance:off")
    wiki.does("config:set", "NGINX_HTTPS_ONLY=true", "NGINX_MAX_BODY_SIZE=1k")
    port = wiki.server.https_port
    moved = ask(wiki, "/wiki/a?b=c")
    assert moved.header("Location") == f"https://shop.localhost:{port}/wiki/a?b=c"
    assert ask(wiki, "/wiki/", https=True).json["name"] == "wiki"
    assert ask(wiki, "/blog/").json["name"] == "blog"
    assert ask(wiki, "/wiki/", "--data-binary", "x" * 2000, https=True).status == 413
    wiki.does("config:unset", "NGINX_HTTPS_ONLY", "NGINX_MAX_BODY_SIZE")
    for setting in ("NGINX_REDIRECT_FROM=old.localhost", "NGINX_HSTS=true"):
        result = wiki.says("config:set", setting)
        said = "is for a whole host name, and this app has only shop.localhost/wiki"
        assert result.returncode == 1 and said in result.stderr
    wiki.does("stop")
    assert (ask(wiki, "/wiki/").status, ask(wiki, "/blog/").status) == (503, 200)
    wiki.does("restart")
    assert ask(wiki, "/wiki/").status == 200


def test_who_has_the_rest_comes_and_goes(server: Sandbox, new_app: NewApp) -> None:
    one = new_app("one", files("wsgi", "town.localhost/one"), push=False)
    said = one.deployed()
    assert f"It answers at http://town.localhost:{server.http_port}/one/" in "\n".join(said)
    two = new_app("two", files("web", "town.localhost/two"))

    def names(*paths: str) -> list[str]:
        found = (ask(one, path, host="town") for path in paths)
        return [
            answer.json["name"] if answer.status == 200 else str(answer.status) for answer in found
        ]

    every = ("/one/", "/two/", "/", "/three")
    assert names(*every) == ["one", "two", "404", "404"]
    assert curl(server, "town.localhost", "/two/", https=True).json["name"] == "two"
    # A path, and a name with paths as the old name of another app, are taken.
    taken = new_app("taken", files("web", "town.localhost/two"), push=False)
    assert "town.localhost/two belongs to the app 'two'" in "\n".join(taken.failed())
    moved = files("web", "taken.localhost", "NGINX_REDIRECT_FROM=town.localhost\n")
    server.commit(taken.repository, moved)
    assert "town.localhost belongs to the app" in "\n".join(taken.failed())

    own = new_app("town", files("wsgi", "town.localhost"))
    assert names(*every) == ["one", "two", "town", "town"]
    three = new_app("three", files("web", "town.localhost/three"), push=False)
    warned = "/three of town.localhost is no longer answered by the app 'town'"
    assert warned in "\n".join(three.deployed())
    assert names(*every) == ["one", "two", "town", "301"]
    own.does("destroy", "--force")
    one.does("destroy", "--force")
    assert names(*every) == ["404", "two", "404", "301"]
    two.does("destroy", "--force")
    three.does("destroy", "--force")
    assert nobody_answers(server, "town.localhost")


def test_sockets_that_a_killed_nginx_left(own_server: Sandbox, new_app: NewApp) -> None:
    app = new_app(
        "late", files("static", "late.localhost/x", **{"public/index.html": "hello"}), on=own_server
    )
    assert ask(app, "/x/", host="late").text == "hello"
    own_server.kill_platform()
    own_server.start_platform()
    assert ask(app, "/x/", host="late").text == "hello"
