"""An index of Python packages on the loopback (packaging.python.org, "Simple repository API").

Whatever goes wrong here, the client is sent to the real index, and then it is as if this were not
there.
"""

import gzip
import hashlib
import html
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import get_ident
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from piku.extras import shared

_HREF = re.compile(r"""href=(["'])(.*?)\1""")
_WHEEL = re.compile(r"(https?://[^#]+/([^/#?]+\.whl))#sha256=([0-9a-f]{64})")
_TIMEOUT = 15  # seconds without an answer, as pip has it
_CHUNK = 1 << 16
_FAILED = (OSError, ValueError, HTTPException, EOFError)


class Index(ThreadingHTTPServer):
    """The server: `wheels` are the addresses of those that its pages have named, by their hashes,
    and `store` the folder of those that were downloaded."""

    daemon_threads = True

    def __init__(self, upstream: str, store: Path, trusted: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.store, self.trusted = upstream, store, trusted
        self.wheels: dict[str, str] = {}
        self._kept: dict[tuple[int, str], HTTPConnection] = {}  # by who asks, to which host
        self.address = f"http://127.0.0.1:{self.server_port}"

    def open(self, url: str, **headers: str) -> HTTPResponse:
        """What an http or https address answers; over the connection before, if that still lives:
        pip asks for a page for each package, and a handshake takes longer than the page."""
        host, failed = urlsplit(url).netloc, 0
        new: HTTPConnection = HTTPConnection(host, timeout=_TIMEOUT)
        if url.startswith("https:"):
            new = HTTPSConnection(host, timeout=_TIMEOUT, context=self.trusted)
        connection = self._kept.setdefault((get_ident(), host), new)
        try:
            connection.request("GET", url.partition(host)[2], headers=headers)
            answer: HTTPResponse = connection.getresponse()
            if answer.status == HTTPStatus.OK:
                answer.url = url
                return answer
            failed = answer.status if answer.status >= HTTPStatus.BAD_REQUEST else 0
        except (OSError, HTTPException):
            pass  # it was closed, or an answer was not read to its end
        connection.close()
        if failed:
            raise ValueError(f"{url}: status {failed}")
        asked = Request(url, headers=headers)  # noqa: S310
        found: HTTPResponse = urlopen(asked, timeout=_TIMEOUT, context=self.trusted)  # noqa: S310
        return found

    def server_close(self) -> None:
        super().server_close()
        for connection in self._kept.values():
            connection.close()

    def handle_error(self, *_: object) -> None:
        """A connection that broke is reported by the client."""

    def page(self, url: str) -> str:
        """A page of the real index with links to the wheels here, and to all else where it is."""
        with self.open(url, **{"Accept": "text/html", "Accept-Encoding": "gzip"}) as answer:
            headers, base, data = answer.headers, answer.geturl(), answer.read()
        if headers["Content-Encoding"] == "gzip":
            data = gzip.decompress(data)
        text = data.decode()
        if headers.get_content_type() != "text/html" or "<base" in text:
            raise ValueError("not a page that can be changed")
        text, wheels = localized(text, base, self.address)
        self.wheels |= wheels
        return text


def localized(text: str, base: str, address: str) -> tuple[str, dict[str, str]]:
    """A page with links below `address` to the wheels that it names with their hashes, and with
    whole links to all else; and where those wheels are, by their hashes."""
    wheels: dict[str, str] = {}

    def link(found: re.Match[str]) -> str:
        url = urljoin(base, html.unescape(found[2]))
        if wheel := _WHEEL.fullmatch(url):
            wheels[wheel[3]] = wheel[1]
            url = f"{address}/{wheel[3]}/{wheel[2]}#sha256={wheel[3]}"
        return f'href="{html.escape(url)}"'

    return _HREF.sub(link, text), wheels


def is_intact(file: Path, digest: str) -> bool:
    """Whether the file is there and has what its name says."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == digest
    except OSError:
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Index

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        first, _, rest = self.path.removeprefix("/").partition("/")
        wheel = self.server.wheels.get(first, "")
        if first == "simple":
            self._page(f"{self.server.upstream}/{rest}")
        elif wheel and rest.endswith(".metadata"):
            self._redirect(f"{wheel}.metadata")
        elif wheel:
            self._wheel(wheel, first)
        else:
            self._begin(404, {"Content-Length": "0"})

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        # pip's own cache has no use for what comes from here.
        for name, value in {"Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _redirect(self, url: str) -> None:
        self._begin(302, {"Location": url, "Content-Length": "0"})

    def _page(self, url: str) -> None:
        try:
            body = self.server.page(url).encode()
        except _FAILED:
            self._redirect(url)
            return
        self._begin(200, {"Content-Type": "text/html", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _wheel(self, url: str, digest: str) -> None:
        place = self.server.store / digest
        if is_intact(place, digest):
            os.utime(place)
            with place.open("rb") as file:
                self._pass_on(iter(lambda: file.read(_CHUNK), b""), str(place.stat().st_size))
            return
        try:
            answer = self.server.open(url)
        except _FAILED:
            self._redirect(url)
            return
        with answer:
            size = answer.headers["Content-Length"]
            self._pass_on(self._kept(answer, place, digest), size)

    def _pass_on(self, chunks: Iterator[bytes], size: str | None) -> None:
        self.close_connection = size is None
        self._begin(200, {"Content-Length": size} if size else {"Connection": "close"})
        for chunk in chunks:
            self.wfile.write(chunk)

    def _kept(self, answer: HTTPResponse, place: Path, digest: str) -> Iterator[bytes]:
        """The chunks of a download, which is kept at its end if it is what it should be."""
        temporary, seen = shared.temporary_file(place.parent, digest), hashlib.sha256()
        try:
            with temporary.open("wb") as file:
                while chunk := answer.read(_CHUNK):
                    seen.update(chunk)
                    file.write(chunk)
                    yield chunk
            if seen.hexdigest() == digest:
                temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
