"""A command that is told not to wait fails while another one is at work on the app."""

import shlex
import threading
from collections.abc import Callable

from tests.e2e.support import App, Completed, refused, succeeded


def test_a_command_need_not_wait(new_app: Callable[..., App]) -> None:
    app = new_app("impatient")
    server = app.server
    begun, gate = server.base / "begun", server.base / "gate"
    release = f"touch {shlex.quote(str(begun))}; until test -e {shlex.quote(str(gate))}; do sleep 0.02; done"
    app.commit(Procfile=f"web: exec python3 -IS server.py\nrelease: {release}\n")
    pushed: list[Completed] = []
    pusher = threading.Thread(target=lambda: pushed.append(app.push()))
    pusher.start()
    server.wait(begun.exists)
    for command, *arguments in (
        ["restart"],
        ["config:set", "A=1"],
        ["ps:scale", "web=2"],
        ["stop"],
        ["deploy"],
    ):
        result = server.ssh("piku", command, "--no-wait", "impatient", *arguments)
        refused(result, 1, "a push by laptop", "since", "is at work on it")
    gate.touch()
    pusher.join()
    succeeded(pushed[0])
    succeeded(server.ssh("piku", "restart", "--no-wait", "impatient"))
