"""Apps that listen on one port: without a server name, or with a PORT that was chosen for them."""

import re
import socket
from collections.abc import Callable

from sandbox import HOST, Sandbox, free_ports

from tests.e2e.support import SERVER, WEB, WSGI, App, web


def nameless(procfile: str, **files: str) -> dict[str, str]:
    return {"Procfile": procfile, "server.py": SERVER, "app.py": WSGI, **files}


def port_in(said: list[str]) -> int:
    """The port on which the transcript says that the app listens."""
    found = re.search(r"It listens on 127\.0\.0\.1:(\d+)", "\n".join(said))
    assert found, said
    return int(found[1])


def test_wsgi_without_a_name_listens_itself(new_app: Callable[..., App]) -> None:
    app = new_app("nameless", nameless("wsgi: app:app\n"), push=False)
    said = app.deployed()
    port = port_in(said)
    app.server.hold_ports()  # while one release stops and the next starts, nobody listens there
    assert any("piku config:set nameless NGINX_SERVER_NAME=" in line for line in said)
    assert app.direct(port) == "one"
    assert f"127.0.0.1:{port}" in app.does("ps")

    # The port stays, so the old release must go first; that is said.
    app.commit(version_txt="two")
    said = app.deployed()
    assert any("The old release stops before the new one starts" in line for line in said)
    assert port_in(said) == port
    assert app.direct(port) == "two"
    app.commit(crash_txt="it cannot load this", version_txt="three")
    said = app.failed()
    assert any("it cannot load this" in line for line in said)
    assert app.direct(port) == "two"

    # Given a name, nginx serves it.
    app.commit(crash_txt=None)
    app.does("config:set", "NGINX_SERVER_NAME=nameless.localhost")
    assert app.body() == "two"
    said = app.deployed()
    assert not any("stops before" in line for line in said)
    assert app.body() == "three"
    app.does("config:unset", "NGINX_SERVER_NAME")
    assert app.direct(port) == "three"


def test_an_address_to_bind(new_app: Callable[..., App]) -> None:
    [port] = free_ports(1)
    app = new_app(
        "bound",
        nameless("wsgi: app:app\n", ENV=f"BIND_ADDRESS=127.0.0.2\nPORT={port}\n"),
        push=False,
    )
    said = app.deployed()
    assert any(f"127.0.0.2:{port}" in line for line in said)
    assert app.direct(port, address="127.0.0.2") == "one"
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0
    app.commit(ENV=f"BIND_ADDRESS=127.0.0.2\nPORT={port}\n", Procfile=WEB)
    app.deployed()
    assert '"BIND_ADDRESS": "127.0.0.2"' in app.direct(port, "/about", address="127.0.0.2")


def test_web_without_a_name_keeps_its_port(new_app: Callable[..., App]) -> None:
    app = new_app("keeper", nameless(WEB), push=False)
    port = port_in(app.deployed())
    app.server.hold_ports()
    other = new_app("keeper2", nameless(WEB), push=False)
    assert port_in(other.deployed()) != port
    for version in ("two", "three"):
        app.commit(version_txt=version)
        assert port_in(app.deployed()) == port
        assert app.direct(port) == version
    app.does("restart")
    app.does("stop")
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0
    # While it is stopped, nobody else is given the port.
    other.does("restart")
    app.does("restart")
    assert app.direct(port) == "three"
    result = app.says("ps:scale", "web=2")
    assert result.returncode == 1
    assert "NGINX_SERVER_NAME" in result.stderr
    assert app.direct(port) == "three"


def test_a_fixed_port(new_app: Callable[..., App]) -> None:
    [port] = free_ports(1)
    app = new_app("fixed", web("fixed", env=f"PORT={port}\n"))
    assert app.direct(port) == app.body() == "one"
    assert app.about()["env"]["PORT"] == str(port)
    app.commit(version_txt="two")
    said = app.deployed()
    assert any("stops before the new one starts" in line and str(port) in line for line in said)
    assert app.direct(port) == app.body() == "two"

    app.commit(server_py="import sys\nsys.exit('not today')\n")
    said = app.failed()
    assert any("not today" in line for line in said)
    assert any("v2" in line and "still runs" in line for line in said)
    assert app.direct(port) == app.body() == "two"
    assert app.ps()["web.1"]["state"] == "up"

    for result in (app.says("ps:scale", "web=2"), app.says("ps:scale", "fixed=2")):
        assert result.returncode == 1
    assert "PORT" in app.says("ps:scale", "web=2").stderr
    scaling = app.server.root / "envs" / "fixed" / "SCALING"
    assert not scaling.exists() or "web=2" not in scaling.read_text()
    assert app.direct(port) == "two"
    app.does("restart")
    assert app.direct(port) == "two"


def test_a_port_that_somebody_else_has(new_app: Callable[..., App], server: Sandbox) -> None:
    [port] = free_ports(1)
    first = new_app("first", web("first", env=f"PORT={port}\n"))
    second = new_app("second", web("second", env=f"PORT={port}\n"), push=False)
    said = second.failed()
    assert any(f"port {port} belongs to the app 'first'" in line for line in said)
    assert not any("nothing to build" in line for line in said), "it is seen before the build"
    second.commit(ENV="NGINX_SERVER_NAME=second.localhost\n")
    second.deployed()
    result = second.says("config:set", f"PORT={port}")
    assert (result.returncode, "'first'" in result.stderr) == (1, True)
    assert second.body() == first.body() == "one"
    assert second.does("config") == ""
    # Even while that app is stopped.
    first.does("stop")
    assert second.says("config:set", f"PORT={port}").returncode == 1
    first.does("restart")

    with socket.create_server((HOST, 0)) as alien:
        taken = alien.getsockname()[1]
        result = second.says("config:set", f"PORT={taken}")
        assert result.returncode == 1
        assert f"port {taken}" in result.stderr and "another program" in result.stderr
        assert second.body() == "one"
    second.does("config:set", f"PORT={taken}")
    assert second.direct(taken) == second.body() == "one"
