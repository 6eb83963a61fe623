"""What the runtimes' tests share: pushes that build, that reuse, and that fail, each as it should."""

import os
import re
import time

from tests.e2e.support import App

QUICK = 1.5  # seconds that a push takes in which nothing is built or compiled
BUSY = 5  # times as long on a machine that does other work as well
INSIDE = bool(os.environ.get("PIKU_SANDBOX"))  # all apps are behind walls


def built(app: App, name: str) -> str:
    """Push, and see that an environment of this runtime is built for it; its name."""
    said = app.deployed()
    found = [
        match[1]
        for line in said
        if (match := re.fullmatch(rf"-----> .*: building ({name}-\w+)", line))
    ]
    assert len(found) == 1, said
    print(*(line for line in said if " is live after " in line))
    return found[0]


def reused(app: App, *, quick: bool = True) -> list[str]:
    """Push, and see that the environment is not built again; the transcript.

    Such a push is quick where nothing is compiled either: one of three at least, as the machine may
    have other things to do.
    """
    for attempt in range(3):
        begun = time.monotonic()
        said = app.deployed()
        taken = time.monotonic() - begun
        print(f"{app.name}: a push of code alone took {taken:.2f} s")
        assert any("       Reusing " in line for line in said), said
        assert not any(": building " in line for line in said), said
        if not quick or INSIDE or taken < QUICK * BUSY:
            break
        assert attempt < 2, said
        app.commit("Nothing has changed")
    return said


def build_failed(app: App, *patterns: str) -> list[str]:
    """Push, and see that it fails at the build, says so with these words, and changes nothing; the transcript."""
    live = app.live()
    said = app.failed()
    number = app.releases()[0]["number"]
    assert any(f"v{number} failed at building its environment" in line for line in said), said
    assert any(f"v{live} (" in line and "still runs" in line for line in said), said
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in said), (pattern, said)
    assert app.live() == live
    return said
