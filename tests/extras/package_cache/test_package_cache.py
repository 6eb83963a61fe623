"""What pip downloaded for one app serves others, and nothing that a build leaves there is believed."""

import hashlib
import io
import ssl
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sandbox import Sandbox

from piku.extras.package_cache import index, pip
from tests.e2e.support import App, wsgi

WSGI = """
import hello
def app(environ, start_response):
    start_response("200 OK", [])
    return [hello.TEXT.encode()]
"""


def wheel(text: str) -> bytes:
    """A package `hello` that says this."""
    about = "Metadata-Version: 2.1\nName: hello\nVersion: 1\n"
    kind = "Wheel-Version: 1.0\nGenerator: it\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    data = io.BytesIO()
    parts = {
        "hello.py": f"TEXT = {text!r}\n",
        "hello-1.dist-info/METADATA": about,
        "hello-1.dist-info/WHEEL": kind,
        "hello-1.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in parts.items():
            # Of the same day always: its digest is in the names of tests, which workers compare.
            archive.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


GENUINE = wheel("genuine")
DIGEST = hashlib.sha256(GENUINE).hexdigest()
PAGE = (
    f"<a href='../../files/hello-1-py3-none-any.whl#sha256={DIGEST}'>hello-1-py3-none-any.whl</a>"
)
FILES = {"/simple/hello/": PAGE.encode(), "/files/hello-1-py3-none-any.whl": GENUINE}
PAGE_PATH, WHEEL_PATH = FILES


class Registry(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: Counter[str] = Counter()
        self.connections = 0

    def process_request(self, *client: Any) -> None:
        self.connections += 1
        super().process_request(*client)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        body = FILES.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "x/y")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


def test_a_second_app_downloads_no_package_and_believes_nobody(
    new_app: Callable[..., App], server: Sandbox, registry: Registry
) -> None:
    def said_of(name: str, requirements: str = "hello==1\n") -> list[str]:
        env = f"PIP_INDEX_URL=http://127.0.0.1:{registry.server_port}/simple\nPIP_FIND_LINKS=\n"
        files = {**wsgi(name, env=env), "app.py": WSGI, "requirements.txt": requirements}
        app = new_app(name, files, push=False)
        result = app.push()
        if result.returncode == 0:
            assert app.body() == "genuine"
        return [line.removeprefix("remote: ").rstrip() for line in result.stdout.splitlines()]

    said = said_of("first")
    assert registry.asked == {PAGE_PATH: 1, WHEEL_PATH: 1}
    own = f"http://127.0.0.1:{registry.server_port}/simple"
    assert f"       Looking in indexes: {own}" in said
    assert any(line.startswith("         Downloading hello-1-py3-none-any.whl") for line in said)
    said_of("second")
    assert registry.asked == {PAGE_PATH: 2, WHEEL_PATH: 1}

    # What a build could do to the packages of others, and what a power cut leaves.
    [kept] = (server.root / "cache" / "@pip").iterdir()
    assert kept.name == DIGEST
    for number, forged in enumerate((wheel("forged"), b"")):
        kept.write_bytes(forged)
        said_of(f"after-{number}")
        assert registry.asked == {PAGE_PATH: 3 + number, WHEEL_PATH: 2 + number}
    assert kept.read_bytes() == GENUINE

    # What the index does not have, it says itself.
    said = said_of("missing", "no-such==1\n")
    assert any("No matching distribution found for no-such==1" in line for line in said)
    assert registry.asked["/simple/no-such/"] == 2


def test_pages_come_over_one_connection(registry: Registry, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{registry.server_port}"
    with index.Index(f"{address}/simple", tmp_path, ssl.create_default_context()) as own:
        for _ in range(3):
            assert "hello-1-py3-none-any.whl" in own.page(f"{address}{PAGE_PATH}")
        assert registry.connections == 1
        with own.open(f"{address}{WHEEL_PATH}") as answer:
            answer.read(1)  # the client has gone
        assert "hello" in own.page(f"{address}{PAGE_PATH}")


@pytest.mark.parametrize(
    ("argv", "env", "expected"),
    [
        ("/e/bin/pip install -r requirements.txt", {}, "https://pypi.org/simple"),
        ("/e/bin/pip install x", {"PIP_INDEX_URL": "https://pypi.example/root/pypi/"}, "https://pypi.example/root/pypi"),
        ("/e/bin/pip install x", {"PIP_INDEX_URL": "https://me:secret@pypi.example/simple"}, ""),
        ("/e/bin/pip install x", {"PIP_INDEX_URL": "file:///srv/simple"}, ""),
        ("/e/bin/pip install x", {"PIP_NO_INDEX": "1"}, ""),
        ("/e/bin/pip install x", {"https_proxy": "http://proxy:3128"}, ""),
        ("/e/bin/pip wheel x", {}, ""),
        ("uv pip install x", {}, ""),
        ("npm install", {}, ""),
    ],
)  # fmt: skip
def test_which_index_is_meant(argv: str, env: Mapping[str, str], expected: str) -> None:
    assert pip.index_of(tuple(argv.split()), env) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (f"../../p/a-1-py3-none-any.whl#sha256={DIGEST}", f"http://here/{DIGEST}/a-1-py3-none-any.whl#sha256={DIGEST}"),
        (f"https://cdn.example/a-1.whl#sha256={DIGEST}", f"http://here/{DIGEST}/a-1.whl#sha256={DIGEST}"),
        ("../../p/a-1.whl", "https://pypi.example/p/a-1.whl"),
        ("../../p/a-1.whl#md5=0cc175b9c0f1b6a831c399e269772661", "https://pypi.example/p/a-1.whl#md5=0cc175b9c0f1b6a831c399e269772661"),
        (f"../../p/a-1.tar.gz#sha256={DIGEST}", f"https://pypi.example/p/a-1.tar.gz#sha256={DIGEST}"),
        (f"file:///srv/a-1.whl#sha256={DIGEST}", f"file:///srv/a-1.whl#sha256={DIGEST}"),
        ("/p?a=1&amp;b=2", "https://pypi.example/p?a=1&amp;b=2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("quote", ["'", '"'])
def test_links_of_a_page(link: str, expected: str, quote: str) -> None:
    page = f'<a href={quote}{link}{quote} data-requires-python="&gt;=3.8">a</a><br/>'
    text, wheels = index.localized(page, "https://pypi.example/simple/a/", "http://here")
    assert text == f'<a href="{expected}" data-requires-python="&gt;=3.8">a</a><br/>'
    assert all(url.startswith("https://") and key == DIGEST for key, url in wheels.items())
    assert bool(wheels) is expected.startswith("http://here")
