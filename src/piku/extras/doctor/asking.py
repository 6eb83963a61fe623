"""Requests to an app through nginx, as its visitors make them, with what nginx noted of each."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from piku.extras.doctor.scene import Scene
from piku.nginx.site import Platform, Site

REFUSED, CLOSED, HANDSHAKE, LATE, GARBLED = "refused", "closed", "handshake", "late", "garbled"
PATIENCE = 10.0  # seconds for an answer
_MOST = 10  # redirects, then it is a loop
_AGENT = "piku-doctor"


@dataclass(frozen=True, kw_only=True)
class Url:
    """An address of an app, `path` with its query."""

    secure: bool
    host: str
    path: str

    def shown(self, platform: Platform) -> str:
        return platform.url(self.host, secure=self.secure).removesuffix("/") + self.path


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: a status, or an `error` where nothing did. `log` is what nginx wrote to its log of
    errors meanwhile; `body` the beginning."""

    url: Url
    status: int = 0
    location: str = ""
    error: str = ""
    log: tuple[str, ...] = ()
    body: bytes = b""


def follow(scene: Scene, site: Site, url: Url) -> tuple[Answer, ...]:
    """Ask, and go where redirects lead, as long as that is this server; a loop ends where it comes to what
    was asked before."""
    trail: list[Answer] = []
    wanted: Url | None = url
    while wanted is not None and len(trail) < _MOST:
        trail.append(_asked(scene, site, wanted))
        if any(before.url == wanted for before in trail[:-1]):
            break
        wanted = _next(scene, site, trail[-1])
    return tuple(trail)


def is_loop(trail: tuple[Answer, ...]) -> bool:
    """Whether redirects never came to an end."""
    last = trail[-1]
    return len(trail) >= _MOST or any(before.url == last.url for before in trail[:-1])


def parsed(text: str, platform: Platform) -> Url | None:
    """The address, if it could be this server's by its port."""
    try:
        parts = urlsplit(text)
        secure, port = parts.scheme == "https", parts.port
    except ValueError:
        return None
    ours = (None, 443, platform.https_port) if secure else (None, 80, platform.http_port)
    if parts.scheme not in ("http", "https") or not parts.hostname or port not in ours:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(secure=secure, host=parts.hostname, path=path)


def _next(scene: Scene, site: Site, answer: Answer) -> Url | None:
    if not 300 <= answer.status < 400 or not answer.location:
        return None
    url = parsed(urljoin(answer.url.shown(scene.platform), answer.location), scene.platform)
    return url if url and url.host in (*site.certified, answer.url.host) else None


def _asked(scene: Scene, site: Site, url: Url) -> Answer:
    log = scene.paths.nginx_errors
    seen = log.stat().st_size if log.exists() else 0
    status, location, error, body = 0, "", "", b""
    try:
        status, location, body = request(scene.platform, site, url)
    except ConnectionRefusedError:
        error = REFUSED
    except ssl.SSLError:
        error = HANDSHAKE
    except TimeoutError:
        error = LATE
    except (http.client.RemoteDisconnected, ConnectionError):
        error = CLOSED
    except (OSError, http.client.HTTPException):
        error = GARBLED
    noted = tuple(_noted(scene, url, seen))
    return Answer(url=url, status=status, location=location, error=error, body=body, log=noted)


def _noted(scene: Scene, url: Url, seen: int) -> Iterator[str]:
    """What nginx has noted of this very request."""
    try:
        with scene.paths.nginx_errors.open(errors="replace") as log:
            log.seek(seen)
            for line in log:
                if f'host: "{url.host}' in line:
                    yield line.strip()
    except OSError:
        return


def request(platform: Platform, site: Site, url: Url) -> tuple[int, str, bytes]:
    """Status, Location and the beginning of the body of one request to nginx."""
    own = site.ipv4 or platform.host
    address = own if own and own != "0.0.0.0" else "127.0.0.1"  # noqa: S104 (compared)
    port = platform.https_port if url.secure else platform.http_port
    with socket.create_connection((address, port), timeout=PATIENCE) as plain:
        # Whether its certificate is any good is another check's to say.
        context = ssl._create_unverified_context()  # noqa: S323
        client = context.wrap_socket(plain, server_hostname=url.host) if url.secure else plain
        host = url.host + platform.port_suffix(secure=url.secure)
        connection = http.client.HTTPConnection(url.host)
        connection.sock = client
        connection.request(
            "GET", url.path, headers={"Host": host, "User-Agent": _AGENT, "Connection": "close"}
        )
        answer = connection.getresponse()
        body = answer.read(500)
        connection.close()
        return answer.status, answer.headers["Location"] or "", body
