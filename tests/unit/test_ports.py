"""What the kernel says of listeners, asked about real ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import sandbox

from piku import ports
from piku.errors import PikuError


def listener(address: str = "127.0.0.1") -> socket.socket:
    server = socket.socket()
    server.bind((address, 0))
    server.listen()
    return server


def test_a_port_in_use_is_not_free() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        assert ports.cannot_listen("127.0.0.1", port) == "Address already in use"
        assert ports.cannot_listen("0.0.0.0", port)  # noqa: S104
    assert not ports.cannot_listen("127.0.0.1", port)


def test_why_an_address_cannot_be_listened_on() -> None:
    assert ports.cannot_listen("192.0.2.1", 0) == "Cannot assign requested address"


def test_free_ports_are_distinct_free_and_nobody_elses() -> None:
    first = ports.free_ports("127.0.0.1", 1, [])[0]
    found = ports.free_ports("127.0.0.1", 3, range(first, first + 10))
    assert len(set(found)) == 3
    assert not set(found) & set(range(first, first + 10))
    assert all(port in ports.PORTS for port in found)
    assert ports.free_ports("127.0.0.1", 0, []) == []


def test_when_every_port_is_taken() -> None:
    with pytest.raises(PikuError, match="no free port between 20000 and 29999"):
        ports.free_ports("127.0.0.1", 1, ports.PORTS)


def test_our_ports_are_outside_the_kernels() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not set(ports.PORTS) & set(range(low, high + 1)) or (low, high) != (32768, 60999)


def test_connections_over_tcp_are_counted_while_they_last() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        address = f"127.0.0.1:{port}"
        assert ports.connections([address]) == 0
        with (
            socket.create_connection(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)),
        ):
            first, _ = server.accept()
            second, _ = server.accept()
            assert ports.connections([address]) == 2
            first.close()
            second.close()
        assert ports.connections([address]) == 0


def test_connections_over_a_unix_socket_are_counted(tmp_path: Path) -> None:
    path = str(tmp_path / "a b.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        assert ports.connections([path]) == 0
        client.connect(path)
        accepted, _ = server.accept()
        assert ports.connections([path, str(tmp_path / "other.sock")]) == 1
        assert ports.connections([str(tmp_path / "other.sock")]) == 0
        accepted.close()
        client.close()
        assert ports.connections([path]) == 0


def test_whose_listeners() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        assert f"127.0.0.1:{port}" in ports.listening([os.getpid()])
    assert f"127.0.0.1:{port}" not in ports.listening([os.getpid()])
    assert ports.listening([]) == []
    assert ports.listening([2**22 + 1]) == []  # nobody has this number


def test_a_port_of_a_sandbox_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PORTS", range(9900, 9950))
    given = []
    with pytest.raises(sandbox.SandboxError, match="no free port between 9900 and 9949"):
        while True:
            given += sandbox.free_ports(1)
    assert len(set(given)) == len(given) > 20


def test_no_two_servers_of_one_machine_choose_the_same_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of the usual ones, any may be an app's of another test.
    monkeypatch.setattr(ports, "PORTS", range(9960, 9962))
    claims = list[socket.socket]()
    monkeypatch.setattr(ports, "_claims", claims)
    with socket.socket(socket.AF_UNIX) as claim:
        claim.bind("\0piku-port-9960")  # as another piku does until its app listens
        assert ports.free_ports("127.0.0.1", 1, []) == [9961]
    claims.pop().close()
