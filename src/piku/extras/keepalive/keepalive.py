"""The setting, how a server that delays its answers is noticed, and what nginx does then."""

import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from piku import files
from piku.app import checks
from piku.app.settings import Setting
from piku.deploy import probe
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.nginx.directives import Raw, d
from piku.nginx.site import Additions, Site
from piku.paths import SEPARATOR, AppPaths, Paths

_DELAY = 0.03  # seconds; Linux acknowledges after 40 ms what it need not acknowledge at once
_PATIENCE = 0.5  # seconds for an answer: no deploy waits longer because of this

# fmt: off
KEEPALIVE = Setting(name="NGINX_PROXY_KEEPALIVE", default="auto",
    check=checks.choice("auto", "true", "false"),
    doc="Whether nginx keeps connections to a web app open; auto: unless that delays answers.")
# fmt: on
SETTINGS = (KEEPALIVE,)


def marker(app: AppPaths) -> Path:
    """The file that is there while a kept connection would delay the app's answers."""
    return app.root / "nginx" / f"{app.name}{SEPARATOR}delays"


def notice(deployment: Deployment, chosen: Sequence[Process]) -> None:
    """Note whether kept connections delay the answers of a new release."""
    check, app = probe.Check.of(deployment), deployment.app
    served = [each for each in chosen if each.kind == "web" and not each.by_socket]
    if not served or check.connect_only or KEEPALIVE.read(deployment.values) != "auto":
        return
    if not delays(served[0].address, check):
        files.remove(marker(app))
        return
    marker(app).touch()
    deployment.output.detail(
        "It sends its answers in parts and without TCP_NODELAY: nginx opens a connection for each"
        " request, as a kept one would take 40 ms (NGINX_PROXY_KEEPALIVE)"
    )


def delays(address: str, check: probe.Check) -> bool:
    """Whether answers on a kept connection take 30 ms longer than those whose parts are
    acknowledged at once. A busy machine is late now and then, in answering or in taking the time:
    the middle one of three counts."""
    text = f"GET {check.path} HTTP/1.1\r\nHost: {check.host}\r\nUser-Agent: piku\r\n\r\n"
    request, (host, _, port) = text.encode(), address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _PATIENCE) as client:
            _seconds(client, request)  # the kernel acknowledges the first of a connection at once
            usual = sorted(_seconds(client, request) for _ in range(3))[1]
            if usual <= _DELAY:
                return False
            return usual > _DELAY + min(_seconds(client, request, at_once=True) for _ in range(3))
    except (OSError, ValueError):
        return False


def _seconds(client: socket.socket, request: bytes, *, at_once: bool = False) -> float:
    """From the first byte of an answer to the last. Raises OSError or ValueError when the
    connection is not kept, or the answer takes too long."""
    client.sendall(request)
    if at_once:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    answer, begun = client.recv(65536), time.monotonic()
    while not _is_whole(answer):
        more = client.recv(65536)
        if not more or time.monotonic() > begun + _PATIENCE:
            raise TimeoutError
        answer += more
    return time.monotonic() - begun


def _is_whole(answer: bytes) -> bool:
    """Whether an answer has ended. Raises ValueError if only the end of the connection says so."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if re.search(rb"(?i)\r\nconnection: *close|^HTTP/1\.0", head):
        raise ValueError("it is not kept")
    if found := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        return len(body) >= int(found[1])
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return body.endswith(b"0\r\n\r\n")
    return True  # such as a 304


def additions(_paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """A connection for each request, where that was chosen or noticed."""
    wanted = KEEPALIVE.read(site.values)
    if site.backend != "http" or wanted == "true":
        return None
    if wanted == "auto" and not marker(app).exists():
        return None
    # What this variable is by the map of `common.conf`, for requests that must not be repeated.
    return Additions(server=(d("set", Raw("$piku_connect"), "fresh-"),))
