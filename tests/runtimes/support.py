"""What the runtimes' tests share: pushes that build, that reuse, and that fail, each as it should."""

import re

from tests.e2e.support import App

QUICK = (
    1.0  # seconds: many times what a deploy needs to find that nothing is to be built, on a busy machine too
)


def built(app: App, name: str) -> str:
    """Push, and see that an environment of this runtime is built for it; its name."""
    said = app.deployed()
    found = [match[1] for line in said if (match := re.fullmatch(rf"-----> .*: building ({name}-\w+)", line))]
    assert len(found) == 1, said
    print(*(line for line in said if " is live after " in line))
    return found[0]


def reused(app: App, *, quick: bool = True) -> list[str]:
    """Push, and see that the environment is not built again; the transcript.

    That is quick where nothing is compiled either.
    """
    said = app.deployed()
    assert any("       Reusing " in line for line in said), said
    assert not any(": building " in line for line in said), said
    assert not quick or building(said) < QUICK, said
    return said


def building(said: list[str]) -> float:
    """For how many seconds a deploy was at its build, as it says itself: a step that took no time is left out."""
    [line] = [line for line in said if " is live after " in line]
    match = re.search(r"[(,] ?build ([0-9.]+)", line)
    return float(match[1]) if match else 0.0


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
