"""Promise 2: nothing that is done to an app drops a request of its, or holds one up."""

import contextlib
import socket
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import pytest
from sandbox import HOST, Sandbox

from tests.faults.support import App, new_app, side_by_side, succeeded
from tests.load import Load, Plan


@contextlib.contextmanager
def load(app: App) -> Iterator[Load]:
    """Steady load, half of it on fresh connections; none of it may fail or wait."""
    port = app.server.http_port
    running = Load(Plan(port=port, host=app.host, body=r"v\d+", kept=16))
    with running:
        yield running
    report = running.report
    print(app.name, report, report.bodies, *report.slowest, sep="\n", file=sys.stderr)
    assert not report.failures, report.failed
    assert report.rate >= 200
    # Where the generator itself was late, the machine was too busy for both ends.
    assert report.beyond - report.own_lag <= 0.3, report.slowest


def deploy_five_times(app: App) -> None:
    for _ in range(5):
        app.deploy()


def deploys_and_changes(server: Sandbox, kind: str) -> None:
    app = new_app(server, kind, kind)
    with load(app) as running:
        deploy_five_times(app)
        succeeded(server.ssh("restart", kind))
        succeeded(server.ssh("config:set", kind, "COLOUR=blue"))
        if kind == "web":
            for count in (2, 3, 1):
                succeeded(server.ssh("ps:scale", kind, f"web={count}"))
        succeeded(server.ssh("rollback", kind, "v4"))
    # Each version in its turn, and the fourth again at the end.
    assert [*running.report.bodies] == ["v1", "v2", "v3", "v4", "v5", "v6"]
    assert app.body() == "v4"


def deploys_of_a_slow_starter(server: Sandbox) -> None:
    # What a start takes is not taken from the time that open requests have.
    app = new_app(server, "slow", "web", "START_DELAY=3\nPIKU_DRAIN_TIMEOUT=3\n")
    with load(app) as running:
        deploy_five_times(app)
    assert [*running.report.bodies] == ["v1", "v2", "v3", "v4", "v5", "v6"]


@pytest.fixture(scope="module")
def outcomes(server: Sandbox) -> Iterator[dict[str, Future[None]]]:
    """What came of each kind of app, each under a load of its own."""
    with side_by_side(
        [
            ("first", "wsgi", partial(deploys_and_changes, server, "wsgi")),
            ("first", "web", partial(deploys_and_changes, server, "web")),
            ("second", "a slow starter", partial(deploys_of_a_slow_starter, server)),
        ]
    ) as found:
        yield found


@pytest.mark.parametrize("name", ["wsgi", "web", "a slow starter"])
def test_deploys_and_changes(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result(timeout=100)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_a_connection_from_before_is_served_after(server: Sandbox, kind: str) -> None:
    """A slow client, an upload, a connection that a browser opened ahead: nginx's old worker has them,
    and the old release, which that worker knows, is kept until they are over."""
    app = new_app(server, f"{kind}-clients", kind)
    request = f"GET / HTTP/1.1\r\nHost: {app.host}\r\nConnection: close\r\n\r\n".encode()
    upload = request.replace(b"GET", b"POST").replace(
        b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nab"
    )
    # What is sent before the switch, and what after it.
    parts = {
        "opened ahead": (b"", request),
        "slow head": (request[:20], request[20:]),
        "upload": (upload[:-1], upload[-1:]),
    }
    with contextlib.ExitStack() as stack:
        plain = {
            what: stack.enter_context(socket.create_connection((HOST, server.http_port), 10))
            for what in parts
        }
        raw = stack.enter_context(socket.create_connection((HOST, server.https_port), 10))
        for what, (before, _) in parts.items():
            plain[what].sendall(before)
        # All of them are accepted in order: once the last one has been, so have the others.
        secure = stack.enter_context(unverified().wrap_socket(raw, server_hostname=app.host))
        app.deploy()
        # nginx waits ten seconds for a head, and thirty for more of an upload.
        for what in ("opened ahead", "slow head"):
            plain[what].sendall(parts[what][1])
        secure.sendall(request)
        app.deploy()
        plain["upload"].sendall(parts["upload"][1])
        answers = {
            what: everything(connection) for what, connection in {**plain, "TLS": secure}.items()
        }
    bodies = {what: answer.rpartition("\r\n")[2] for what, answer in answers.items()}
    versions = {f"v{number}" for number in range(app.number + 1)}
    assert set(bodies.values()) <= versions, bodies


def everything(connection: socket.socket) -> str:
    return b"".join(iter(lambda: connection.recv(4096), b"")).decode()
