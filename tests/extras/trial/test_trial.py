"""Code that does not load is found before the old release is stopped for it."""

import http.client

from sandbox import HOST, Sandbox, free_ports

from tests.faults.support import App, Watch, files, said, succeeded


def direct(port: int) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_an_app_with_a_fixed_port_is_loaded_first(server: Sandbox) -> None:
    [port] = free_ports(1)
    env = f"PORT={port}\nUWSGI_THREADS=4\n"
    repository = server.repository("tried", {**files("wsgi", "tried"), "ENV": env})
    app = App(server=server, name="tried", repository=repository)
    succeeded(app.push())
    old = app.version
    with Watch(app, old, ask=lambda: direct(port)):
        result = app.push({"app.py": "import no_such_module\n"})
        assert result.returncode == 1, result.stdout
        assert " failed at loading the app: " in said(result)
        assert "ModuleNotFoundError: No module named 'no_such_module'" in said(result)
        assert "still runs, as before" in said(result)
    app.forget_last()
    succeeded(app.push())
    assert direct(port) == app.version
