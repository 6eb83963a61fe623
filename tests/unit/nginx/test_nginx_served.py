"""What a real nginx, and a newer one, answer by our configuration: each on ports of its own."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sandbox import free_ports

from piku import files as files_module
from piku.extras.answer_cache import directives as answer_cache
from piku.nginx.directives import d, location
from piku.nginx.site import Additions, Site, SiteState, Static
from piku.paths import AppName, Paths
from piku.tls import certificate as certificate_module
from tests.unit.nginx.nginx_opinion import Nginx, installed, newer

NOBODY = "192.0.2.0/24"  # no client comes from there (RFC 5737)


class Echo(http.server.BaseHTTPRequestHandler):
    """An app that says what it was asked; `?set=NAME:VALUE` has it answer with that header."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    requests = 0

    def do_GET(self) -> None:
        Echo.requests += 1
        said = {
            "path": self.path,
            "number": Echo.requests,
            "headers": {k.lower(): v for k, v in self.headers.items()},
        }
        body = json.dumps(said).encode()
        self.send_response(int(self.path[1:4]) if self.path[1:4].isdigit() else 200)
        name, colon, value = self.path.partition("?set=")[2].partition(":")
        if colon:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def told(self) -> dict[str, str]:
        """The headers that the app was told."""
        return dict(json.loads(self.body)["headers"])


@dataclass(frozen=True)
class Server:
    """A running nginx."""

    folder: Path
    http_port: int
    https_port: int

    def ask(self, host: str, path: str = "/", *, tls: bool = False, **headers: str) -> Answer:
        """One request, as it is written; `path` may be a whole address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        port = self.https_port if tls else self.http_port
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.connect()
        if tls:
            client.sock = context.wrap_socket(client.sock, server_hostname=host)
        with contextlib.closing(client):
            client.putrequest("GET", path, skip_host=True)
            for name, value in {"Host": host, **headers}.items():
                client.putheader(name.replace("_", "-"), value)
            client.endheaders()
            answer = client.getresponse()
            return Answer(answer.status, answer.msg, answer.read())


def make_links(folder: Path) -> None:
    """Links in the files of an app and in its data: some to what may be shown, and all others."""
    (folder / "data" / "uploads").mkdir(parents=True)
    (folder / "data" / "uploads" / "photo").write_text("a photo")
    for place, target in (
        ("files/kept", "../data/uploads"), ("files/photo", "../data/uploads/photo"), ("files/out", ".."),
        ("files/late", "../secret"), ("files/sub/late", "../../data"), ("data/uploads/evil", "../../secret"),
        ("data/uploads/index.html", "../../secret"), ("data/uploads/out", "../.."), ("live", "."),
        ("data/moved", ".."), ("data/moved.txt", "../secret"), ("files/docs/index.html", "../page.html"),
        ("files/about.html", "page.html"), ("older/before", "../secret"), ("older/past", ".."), ("live@before", "."),
    ):  # fmt: skip
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).symlink_to(target)


def sites(folder: Path, app: str) -> Iterator[tuple[Site, SiteState]]:
    """One app, in all the ways that a site of it may be."""
    (folder / "files" / "sub").mkdir(parents=True)
    for name in ("page.html", "ENV", "sub/index.html", "down.html"):
        (folder / "files" / name).write_text(name if name != "ENV" else "not to be shown")
    (folder / "secret").write_text("not to be shown")
    for name in (
        "etc",
        "Procfile",
        "sub/ENV",
        ".git/config",
        ".GIT/config",
        "sub/.env",
        "sub/.Env.local",
    ):
        (folder / "files" / name).parent.mkdir(exist_ok=True)
        (folder / "files" / name).write_text("not to be shown")
    make_links(folder)
    (folder / "older" / "old.html").write_text("old.html")  # of the release before
    acme = folder / "acme" / ".well-known" / "acme-challenge"
    acme.mkdir(parents=True)
    (acme / "token").write_text("proof")

    def site(name: str, **more: object) -> Site:
        return Site(
            app=name, names=(f"{name}.test",), **{"serving": "web", "upstreams": (app,), **more}
        )  # type: ignore[arg-type]

    certificate = certificate_module.certificate(
        Paths(root=folder, home=folder).app(AppName("x")), ("x.test",)
    ).path
    around = SiteState(certificate=certificate)
    yield site("plain"), around
    cached = site("cached", values={"NGINX_CACHE_PREFIXES": "/"})
    root = Paths(root=folder, home=folder)
    keeping = answer_cache.additions(root, root.app(AppName("cached")), cached)
    yield cached, SiteState(certificate=certificate, additions=(keeping,))
    yield site("barred"), SiteState(certificate=certificate, cloudflare=(NOBODY,))
    yield site("moved", redirect_from=("old.test",)), around
    yield site("only", values={"NGINX_HTTPS_ONLY": "true"}), around
    closed = (
        d("add_header", "Retry-After", 300, "always"),
        location("/", [d("return", 503)]),
    )
    down = SiteState(
        certificate=certificate,
        additions=(
            Additions(server=closed, pages={503: f"{folder}/files/down.html"}, closed=True),
        ),
        cloudflare=(NOBODY,),
    )
    yield site("down"), down
    top = f"{folder}/live"  # a link, as that to the live release is
    files = Static(
        prefix="/files", path=f"{top}/files", before=f"{top}@before/older", base=top, links=()
    )
    data = f"{folder}/data"
    uploads = Static(prefix="/uploads", path=f"{data}/uploads", base=data, links=())
    moved = Static(prefix="/moved", path=f"{data}/moved/files", base=data, links=())
    one = Static(prefix="/moved.txt", path=f"{data}/moved.txt", file=True, base=data, links=())
    yield site("files", static=(files, uploads, moved, one)), around
    yield site("front", static=(replace(files, prefix="/"),)), around
    yield (
        site("data", serving="", upstreams=(), static=(replace(uploads, prefix="/"), files)),
        around,
    )
    whole = Static(prefix="/", path=f"{folder}/files", links=())
    for name, catch_all in (("env", "/sub/ENV"), ("git", "/.git/config")):
        caught = {"NGINX_CATCH_ALL": catch_all}
        yield site(name, serving="", upstreams=(), static=(whole,), values=caught), around
    yield (
        site(
            "spa",
            serving="",
            upstreams=(),
            static=(whole,),
            values={"NGINX_CATCH_ALL": "/page.html"},
        ),
        around,
    )


@pytest.fixture(scope="module", params=[installed, newer], ids=["installed", "newer"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param(), sites) as found:
        yield found


@contextlib.contextmanager
def running(
    nginx: Nginx, sites: Callable[[Path, str], Iterator[tuple[Site, SiteState]]]
) -> Iterator[Server]:
    """This nginx, with the sites that the function makes in a folder, in front of an app."""
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="n") as name, contextlib.closing(upstream.socket):
        folder = Path(name)
        (folder / "nginx").mkdir()
        plain, secure = free_ports(2)
        main = nginx.write(
            list(sites(folder, f"127.0.0.1:{upstream.server_port}")), folder,
            host="127.0.0.1", http_port=plain, https_port=secure, check_dir="", root=str(folder),
        )  # fmt: skip
        command = [
            nginx.program,
            "-e",
            f"{folder}/errors",
            "-p",
            name,
            "-c",
            str(main),
            "-g",
            "daemon off;",
        ]
        with (
            (folder / "errors").open("wb") as log,
            subprocess.Popen(command, stderr=log) as process,
        ):
            try:
                for _ in files_module.poll(time.monotonic() + 10):
                    assert process.poll() is None, (folder / "errors").read_text()
                    with (
                        contextlib.suppress(OSError),
                        socket.create_connection(("127.0.0.1", secure)),
                    ):
                        break
                yield Server(folder, plain, secure)
            finally:
                process.terminate()
                process.wait(10)
                upstream.shutdown()


def test_an_app_is_told_the_host_that_chose_it(server: Server) -> None:
    for host in ("plain.test", "Plain.Test", "plain.test:8080", "plain.test."):
        told = server.ask(host).told
        assert told["host"] == told["x-forwarded-host"] == host
    # A header does not count beside a host in the first line; a newer nginx may refuse the request.
    answer = server.ask("evil.example", "http://plain.test/")
    assert (
        answer.status == 400
        or answer.told["host"] == answer.told["x-forwarded-host"] == "plain.test"
    )


def test_no_cache_is_filled_for_another_host(server: Server) -> None:
    server.ask("evil.example", "http://cached.test/poison")
    assert b"evil.example" not in server.ask("cached.test", "/poison").body


def test_headers_that_mislead_an_app_are_not_passed(server: Server) -> None:
    told = server.ask("plain.test", Proxy="http://evil.example", X_Real_IP="1.1.1.1").told
    assert not told.get("proxy")
    assert told["x-real-ip"] == "127.0.0.1"
    told = server.ask(
        "plain.test", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAMA"
    ).told
    assert "upgrade" not in told and told.get("connection", "").lower() != "upgrade"
    told = server.ask("plain.test", Connection="Upgrade", Upgrade="websocket").told
    assert (told["upgrade"], told["connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    "name", ["plain", "barred", "moved", "only", "down", "old", "files", "spa"]
)
def test_a_certificate_authority_is_answered_at_any_time(
    server: Server, name: str, tls: bool
) -> None:
    for _ in range(4):
        answer = server.ask(f"{name}.test", "/.well-known/acme-challenge/token", tls=tls)
        assert (answer.status, answer.body) == (200, b"proof")
    assert server.ask(f"{name}.test", "/.well-known/acme-challenge/none", tls=tls).status == 404


def test_who_is_not_let_in(server: Server) -> None:
    assert server.ask("barred.test").status == 403
    # Only Cloudflare is believed when it says for whom it asks.
    assert server.ask("barred.test", CF_Connecting_IP="192.0.2.1").status == 403


def test_maintenance_is_for_everybody(server: Server) -> None:
    for path in ("/", "/any/where?x=1", "/.git/config"):
        answer = server.ask("down.test", path)
        assert (answer.status, answer.body, answer.headers["Retry-After"]) == (
            503,
            b"down.html",
            "300",
        )


def test_redirects_keep_ports_and_paths(server: Server) -> None:
    port = f":{server.https_port}"
    for host, secure, path, target in (
        ("only.test", False, "/a%20b?c=%2f", f"https://only.test{port}/a%20b?c=%2f"),
        ("old.test", False, "/x", f"http://moved.test:{server.http_port}/x"),
        ("old.test", True, "/x?y", f"https://moved.test{port}/x?y"),
        ("files.test", False, "/files?x=1", "/files/?x=1"),
        ("files.test", True, "/files/sub", "/files/sub/"),
        ("spa.test", False, "/sub", "/sub/"),
    ):
        answer = server.ask(host, path, tls=secure)
        assert (answer.status, answer.headers["Location"]) == (301, target)


TRICKS = (
    "ENV", "/ENV", "./ENV", "%45NV", "ENV/", "ENV/.", "ENV%00", "ENV%00.html", "ENV%20", "ENV.", "sub/ENV", "sub/%2e%2e/ENV",
    "Procfile", "Procfile%20", "Procfile%2f", "env", "Env", "late", "late/", "out/secret", "out/files/page.html",
    "sub/late/uploads/photo", "kept/evil", "kept/out/secret", "kept/", "kept/../late", "kept/../out/secret", "photo/../late",
    ".git/config", "/.git/config", "%2egit/config", "%2e%67it/config", "%252egit/config", ".git%2fconfig", ".git%5cconfig",
    ".GIT/config", ".Git/config", "sub/.env", "sub/.Env.local", ".git./config", ".git%20/config", "sub/..%2f.git/config",
    "kept/photo", "photo", "docs/index.html", "../secret", "%2e%2e/secret", "..%2fsecret", "/../../secret", "%252e%252e/secret", "..%252fsecret", "..%5csecret", "..\\secret",
    "before", "before/", "past/secret", "past/files/page.html", ".%00./secret", "..;/secret", "%c0%ae%c0%ae/secret", "sub/../../secret", "..%2f..%2fdata/uploads/photo",
)  # fmt: skip


@pytest.mark.parametrize(
    ("host", "begin"),
    [("files", "/files/"), ("files", "/files"), ("front", "/"), ("data", "/files/"), ("spa", "/")],
)
def test_what_is_not_shown(server: Server, host: str, begin: str) -> None:
    assert [trick for trick in TRICKS if leaks(server, host, f"{begin}{trick}")] == []


def leaks(server: Server, host: str, address: str) -> bool:
    """Whether something is sent that is no answer of the app, nor the page of the site `spa`."""
    answer = server.ask(f"{host}.test", address)
    asked = answer.status == 200 and answer.body.startswith(b"{")
    fallback = host == "spa" and answer.body == b"page.html"
    kept = asked or fallback or answer.status in (301, 400, 403, 404)
    return not kept or b"not to be shown" in answer.body or b"a photo" in answer.body


@pytest.mark.parametrize("path", [
    "/@before-0/files/page.html", "/@before-0/files/../secret", "/@piku-none", "/uploads/evil", "/uploads/", "/uploads/out/secret",
    "/moved/page.html", "/moved.txt",
])  # fmt: skip
def test_what_is_not_shown_either(server: Server, path: str) -> None:
    assert server.ask("data.test", path.removeprefix("/uploads")).status in (403, 404)
    answer = server.ask("files.test", path)
    assert answer.status in (403, 404) or answer.told
    assert b"not to be shown" not in answer.body


def test_data_and_files_beside_links(server: Server) -> None:
    for host, path in (("files", "/uploads/photo"), ("data", "/photo")):
        assert server.ask(f"{host}.test", path).body == b"a photo"
    for name in ("page.html", "old.html"):
        for host, path in (("files", f"/files/{name}"), ("front", f"/{name}")):
            assert server.ask(f"{host}.test", path).body == name.encode()


def test_files_and_what_answers_when_there_is_none(server: Server) -> None:
    assert server.ask("files.test", "/files/page.html").body == b"page.html"
    assert server.ask("files.test", "/files/sub/").body == b"sub/index.html"
    assert server.ask("files.test", "/files/none").status == 404
    for host, path in (("files", "/files/"), ("front", "/sub/none"), ("data", "/files/")):
        answer = server.ask(f"{host}.test", path)
        assert answer.status == 404 or answer.told, path
    for host in ("env", "git"):
        assert (
            server.ask(f"{host}.test", "/none").status
            == server.ask(f"{host}.test", "/").status
            == 404
        )
    for path in ("/", "/none", "/none/deep", "/page.html", "/sub/none"):
        assert server.ask("spa.test", path).body == b"page.html", path
    assert server.ask("spa.test", "/ENV").status == 404


def test_answers_are_kept_for_those_they_are_for(server: Server) -> None:
    def twice(path: str, **headers: str) -> tuple[bool, Answer]:
        first, second = (server.ask("cached.test", path, **headers) for _ in range(2))
        return first.body == second.body, second

    kept, answer = twice("/a")
    assert (
        kept
        and answer.headers["X-Cache"] == "HIT"
        and answer.headers["Cache-Control"] == "max-age=3600"
    )
    for path, headers in (
        ("/b?set=Set-Cookie:a=b", {}),
        ("/c", {"Authorization": "x"}),
        ("/d?set=Cache-Control:private", {}),
    ):
        kept, answer = twice(path, **headers)
        assert not kept, path
        assert answer.headers["Cache-Control"] == ("private" if "private" in path else None)
    kept, answer = twice("/e?set=Cache-Control:max-age=7")
    assert kept and answer.headers["Cache-Control"] == "max-age=7"
    for status in (404, 301):
        assert twice(f"/{status}")[0]
    for status in (500, 503, 429):
        assert not twice(f"/{status}")[0]


def test_http_2(server: Server) -> None:
    where = f"plain.test:{server.https_port}"
    said = subprocess.run(
        ["curl", "--silent", "--insecure", "--http2", "--resolve", f"{where}:127.0.0.1", "--write-out", "%{http_version}",
         f"https://{where}/"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert said.endswith("}2")
    assert json.loads(said[:-1])["headers"]["host"] == where
