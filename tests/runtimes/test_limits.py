"""What a limit of memory does to other languages than Python, where piku has no cgroup of its own."""

import contextlib
import http.client
from collections.abc import Callable

from tests.e2e.support import App

NewApp = Callable[..., App]

HUNGRY = """
const held = [], begun = process.hrtime.bigint();
require("http").createServer((request, response) => {
    for (let left = Number(request.url.slice(1)); left > 0; left -= 10) held.push(Buffer.alloc(10 << 20, 1));
    response.end(String(begun));
}).listen(process.env.PORT, process.env.BIND_ADDRESS);
"""


def test_node_ends_when_it_takes_too_much_and_is_started_again(new_app: NewApp) -> None:
    env = "NGINX_SERVER_NAME=hungry.localhost\nPIKU_MEMORY_LIMIT=200M\n"
    app = new_app(
        "hungry", {"Procfile": "web: exec node hungry.js\n", "hungry.js": HUNGRY, "ENV": env}
    )
    first = app.body("/20")
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert app.status("/400") >= 500
    app.server.wait(lambda: app.status() == 200)
    assert app.body() != first
    assert app.ps()["web.1"]["restarts"] >= 1
