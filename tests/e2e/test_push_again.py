"""A push whose client went away goes on; pushing the same again says how it fares."""

import os
import re
import signal
import subprocess
from collections.abc import Callable

from tests.e2e.support import App, web


def test_a_push_that_was_interrupted(new_app: Callable[..., App]) -> None:
    app = new_app("again", web("again"))
    server, gate = app.server, app.server.base / "gate"
    app.commit(
        "Slow", Procfile=f"web: exec python3 -IS server.py\nrelease: until [ -e {gate} ]; do sleep 0.1; done\n"
    )  # fmt: skip
    first = subprocess.Popen(
        ["git", "push", server.remote(app.name), "main"], cwd=app.repository, env=server.git_env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert first.stdout is not None
    assert any("Release: until" in line for line in first.stdout)
    os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    first.communicate(timeout=20)
    said = app.push().stdout
    assert "-----> v2 (" in said and "is being deployed, at: release" in said
    assert "Everything up-to-date" in said
    gate.touch()
    server.wait(lambda: app.releases()[0]["outcome"] == "succeeded", timeout=60)
    said = app.push().stdout
    assert ", 'Slow') of " in said and "is live" in said


def test_a_push_says_what_it_waits_for(new_app: Callable[..., App]) -> None:
    slow = "import time\ntime.sleep(13)\n" + web("x")["server.py"]
    app = new_app("patient", {**web("patient"), "server.py": slow}, push=False)
    said = app.deployed()
    waits = re.compile(r"… web\.1, 1\d s: nothing listens on 127\.0\.0\.1:")
    assert any(map(waits.search, said)), said
