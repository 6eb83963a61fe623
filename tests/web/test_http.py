"""What nginx does in front of an app."""

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Callable

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.support import APPS, App, web, wsgi


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def raw(server: Sandbox, text: str, *, tls: bool = False, name: str | None = None) -> bytes:
    """All that comes back for these bytes until the connection is closed."""
    port = server.https_port if tls else server.http_port
    with socket.create_connection((HOST, port), 10) as plain:
        client = unverified().wrap_socket(plain, server_hostname=name) if tls else plain
        with client:
            client.sendall(text.encode())
            return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.fixture(scope="module")
def edge(new_app: Callable[..., App]) -> App:
    return new_app(
        "edge", {**web("edge"), "ENV": "NGINX_SERVER_NAME=edge.localhost, WWW.Edge.localhost\n"}
    )


def test_a_web_app_knows_who_asked_for_what(edge: App) -> None:
    for https, scheme, port in (
        (False, "http", edge.server.http_port),
        (True, "https", edge.server.https_port),
    ):
        for host in (edge.host, "www.edge.localhost"):
            headers = edge.about(https=https, host=f"{host}:{port}" if not https else host)[
                "headers"
            ]
            assert headers["x-forwarded-proto"] == scheme
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert headers["x-real-ip"] == "127.0.0.1"
            assert headers["x-forwarded-port"] == str(port)
            assert (
                headers["x-forwarded-host"]
                == headers["host"]
                == (host if https else f"{host}:{port}")
            )
    _, _, body = edge.server.get(edge.host, "/about?a=%2f&b=1")
    assert b'"/about?a=%2f&b=1"' in body
    assert edge.server.get(edge.host, "/", method="POST", body=b"x" * 3_000_000)[0] == 200


def test_connections_to_the_app_stay_open(edge: App) -> None:
    def connections() -> set[int]:
        seen = set()
        for https in (False, True, False, True, False, True):
            about = edge.about(https=https)
            headers = about["headers"]
            assert "connection" not in headers or headers["connection"] != "upgrade"
            assert "upgrade" not in headers
            seen.add(about["connection"])
        return seen

    # Each nginx worker process has a connection of its own, which it closes after a second.
    edge.server.wait(lambda: len(connections()) <= 2)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_websocket_passes(edge: App, tls: bool) -> None:
    port = edge.server.https_port if tls else edge.server.http_port
    with (
        socket.create_connection((HOST, port), 10) as plain,
        unverified().wrap_socket(plain, server_hostname=edge.host) if tls else plain as client,
    ):
        client.sendall(
            f"GET /socket HTTP/1.1\r\nHost: {edge.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455, section 1.3
        for message in (b"one", b"\x00\xff two"):
            client.sendall(message)
            assert client.recv(4096) == message


def test_https(edge: App) -> None:
    assert edge.body(https=True) == "one"
    with socket.create_connection((HOST, edge.server.https_port), 10) as plain:
        context = unverified()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(plain, server_hostname=edge.host) as client:
            assert client.selected_alpn_protocol() == "h2"
            certificate = client.getpeercert(binary_form=True)
    shown = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-text"],
        input=certificate,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "NIST CURVE: P-256" in shown
    assert "DNS:edge.localhost, DNS:www.edge.localhost" in shown


def test_git_folders_are_denied(edge: App) -> None:
    for path in ("/.git/config", "/.git", "/.gitignore", "/sub/.git/HEAD"):
        status, _, body = edge.server.get(edge.host, path)
        assert status in (403, 404)
        assert b"one" not in body  # not the app's answer


def test_unknown_hosts_are_answered_by_nobody(edge: App) -> None:
    server = edge.server
    request = "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
    for host in ("nobody.localhost", "127.0.0.1", f"{edge.host}.evil"):
        assert raw(server, request.format(host)) == b""
    for name in ("nobody.localhost", None):
        with pytest.raises(ssl.SSLError):
            raw(server, request.format(edge.host), tls=True, name=name)
    # A client may name one host when it connects, and ask for another.
    assert raw(server, request.format("nobody.localhost"), tls=True, name=edge.host) == b""
    assert b"200 OK" in raw(server, request.format(edge.host), tls=True, name=edge.host)


def test_wsgi_knows_the_scheme(new_app: Callable[..., App]) -> None:
    app = new_app("schemes", wsgi("schemes"))
    for https, scheme, port in (
        (False, "http", app.server.http_port),
        (True, "https", app.server.https_port),
    ):
        environ = app.about(https=https)["environ"]
        assert environ["wsgi.url_scheme"] == scheme
        assert environ.get("HTTPS", "off") == ("on" if https else "off")
        assert environ["HTTP_HOST"] == app.host
        assert environ["REMOTE_ADDR"] == environ["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
        assert environ["HTTP_X_FORWARDED_PROTO"] == scheme
        assert environ["SERVER_PORT"] == environ["HTTP_X_FORWARDED_PORT"] == str(port)
    # What a client says of itself in these is not handed on.
    claimed = {"X-Real-IP": "192.0.2.1", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp",
               "X-Forwarded-Port": "1"}  # fmt: skip
    environ = json.loads(app.server.get(app.host, "/about", headers=claimed)[2])["environ"]
    assert (environ["HTTP_X_REAL_IP"], environ["HTTP_X_FORWARDED_HOST"]) == ("127.0.0.1", app.host)
    assert (environ["HTTP_X_FORWARDED_PROTO"], environ["HTTP_X_FORWARDED_PORT"]) == (
        "http", str(app.server.http_port),
    )  # fmt: skip
    assert app.server.get(app.host, "/.git/config")[0] == 404


def test_https_only_keeps_host_and_uri(new_app: Callable[..., App]) -> None:
    env = "NGINX_SERVER_NAME=one-of-two.localhost,two-of-two.localhost\nNGINX_HTTPS_ONLY=true\n"
    app = new_app("httpsonly", {**web("httpsonly"), "ENV": env})
    for host in ("one-of-two.localhost", "two-of-two.localhost"):
        status, headers, _ = app.server.get(host, "/a%20b/?q=1&r=%2F")
        assert status == 301
        assert headers["Location"] == f"https://{host}:{app.server.https_port}/a%20b/?q=1&r=%2F"
        assert app.body(https=True, host=host) == "one"


def test_a_name_belongs_to_one_app(edge: App, new_app: Callable[..., App]) -> None:
    thief = new_app(
        "thief", web("thief", env="NGINX_SERVER_NAME=thief.localhost,EDGE.localhost\n"), push=False
    )
    said = "\n".join(thief.failed())
    assert "nothing to build" not in said, "it is seen before the build"
    assert "edge.localhost belongs to the app 'edge'" in said
    assert edge.body() == "one"
    thief.commit(ENV="")
    thief.deployed()
    result = thief.says("config:set", "NGINX_SERVER_NAME=www.edge.localhost")
    assert result.returncode == 1
    assert "'edge'" in result.stdout + result.stderr
    assert thief.does("config") == ""
    assert edge.body(host="www.edge.localhost") == "one"


def test_static_files_are_only_those_meant(new_app: Callable[..., App]) -> None:
    files = {
        "Procfile": "static: .\n",
        "ENV": "NGINX_SERVER_NAME=plain.localhost\nAPI_TOKEN=do-not-show\n",
        "index.html": "<h1>front page</h1>",
        "docs/index.html": "<h1>the docs</h1>",
        "a b.txt": "with a space",
    }
    app = new_app("plain", files)
    assert app.body() == app.body("/index.html") == app.body(https=True) == "<h1>front page</h1>"
    assert app.body("/docs/") == "<h1>the docs</h1>"
    assert app.body("/a%20b.txt") == "with a space"
    status, headers, _ = app.server.get(app.host, "/docs?q=1")
    assert (status, headers["Location"].partition("?")[0]) == (301, "/docs/")
    for path in (
        "/ENV",
        "/Procfile",
        "/.git/HEAD",
        "/.git/config",
        "//ENV",
        "/docs/../ENV",
        "/%45NV",
        "/missing",
    ):
        status, _, body = app.server.get(app.host, path)
        assert status in (403, 404), path
        assert b"do-not-show" not in body
    assert app.does("ps", "--json").strip() == "[]"
    app.commit(index_html="<h1>changed</h1>")
    app.deployed()
    assert app.body() == "<h1>changed</h1>"


def test_settings_cannot_inject_configuration(new_app: Callable[..., App]) -> None:
    app = new_app("injected")
    for value in (
        "a.localhost; } server {",
        "a b;c",
        "$host",
        'x"y',
        "-a.localhost",
        "a..b",
        "x" * 64 + ".localhost",
    ):
        result = app.says("config:set", f"NGINX_SERVER_NAME={value}")
        assert result.returncode == 1
        assert "is not a host name" in result.stdout + result.stderr
    assert app.does("config") == ""
    assert app.body() == "one"


def test_http_is_answered_over_one_connection(edge: App) -> None:
    connection = http.client.HTTPConnection(HOST, edge.server.http_port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/", headers={"Host": edge.host})
        assert connection.getresponse().read() == b"one"
    connection.close()


def test_an_app_that_closes_connections_loses_no_request(new_app: Callable[..., App]) -> None:
    app = new_app("dropping", {**web("dropping"), "server.py": (APPS / "dropping.py").read_text()})
    for method in ("GET", "POST", "PUT", "DELETE") * 5:
        body = b"sent" if method in ("POST", "PUT") else None
        assert app.server.get(app.host, method=method, body=body)[0] == 200, method
