"""Commands that go on after their connection has ended."""

import os
import signal
from collections.abc import Callable

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, refused, running, web


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    return new_app("once", web("once", version_txt="one"))


def detach(app: App, *words: str) -> str:
    """`ssh piku@server run --detach APP WORDS`: the name."""
    result = app.server.ssh("run", "--detach", app.name, *words)
    assert result.returncode == 0, result.stderr
    assert f"piku ps:stop {app.name} {result.stdout.strip()}" in result.stderr
    return result.stdout.strip()


def log(app: App, name: str) -> str:
    return app.does("logs", name, "--no-follow")


def test_a_detached_command_goes_on_and_keeps_a_log(app: App) -> None:
    name = detach(
        app,
        "'echo hello from $PIKU_PROCESS; pwd; until [ -e $DATA_ROOT/go ]; do sleep 0.05; done; exit 3'",
    )
    # The connection has ended, it goes on.
    row = app.ps()[name]
    assert (row["state"], row["release"]) == ("running", app.live())
    assert row["memory"] > 100_000 and row["uptime"] < 60
    assert os.getsid(row["pid"]) == row["pid"]
    assert name in app.does("ps") and name in app.server.piku("ps").stdout
    app.server.wait(lambda: f"hello from {app.name}@{name}" in log(app, name))
    assert app.about()["cwd"] in log(app, name)
    (app.data / "go").touch()
    app.server.wait(lambda: name not in app.ps())
    said = log(app, name).splitlines()
    assert f"{name} starts: echo hello" in said[0] and f"{name} ended with exit code 3" in said[-1]
    file = app.server.root / "logs" / app.name / f"{name}.log"
    assert file.stat().st_mode & 0o777 == 0o640

    # The next one has the next number; words are taken as they are, options after the command as well.
    number = int(name.partition(".")[2])
    second = detach(app, "printf", "%s,", "--detach", "--json")
    assert second == f"run.{number + 1}"
    app.server.wait(lambda: "ended with exit code 0" in log(app, second))
    assert "--detach,--json," in log(app, second)


def test_the_app_and_a_command_are_required(app: App) -> None:
    refused(app.server.piku("run", "--detach", "once"), 2)
    refused(app.server.piku("run", "--detach", "nosuch", "true"), 1, "no app called 'nosuch'")


def test_a_detached_command_that_is_stopped_takes_all_it_started_along(app: App) -> None:
    app.does("config:set", "PIKU_STOP_TIMEOUT=5")
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(608)"
    script = f"trap : TERM; python3 -ISc '{deaf}' & setsid sleep 608 & sleep 608"
    name = app.server.piku("run", "--detach", app.name, script).stdout.strip()
    app.server.wait(lambda: len(running("sleep 608")) == 2)
    other = app.server.piku("run", "--detach", app.name, "sleep 609").stdout.strip()

    refused(app.says("ps:stop", "web.1"), 1, "'web.1'", name)
    app.does("ps:stop", name)
    assert not running("sleep 608") and not running(f"python3 -ISc {deaf}")
    assert "ended" in log(app, name).splitlines()[-1]
    refused(app.says("ps:stop", name), 1, repr(name))
    assert running("sleep 609") and other in app.ps()
    app.does("ps:stop", other)
    assert "ended with exit code 143" in log(app, other)


def test_a_detached_command_outlives_deploys_with_its_files(new_app: Callable[..., App]) -> None:
    app = new_app("steady", web("steady", env="PIKU_KEEP_RELEASES=1\n", version_txt="one"))
    name = app.server.piku(
        "run",
        "--detach",
        "steady",
        "until [ -e $DATA_ROOT/go ]; do sleep 0.05; done; cat version.txt; echo",
    ).stdout.strip()
    for version in ("two", "three", "four"):
        app.commit(version_txt=version)
        app.deployed()
    app.does("restart")
    assert app.ps()[name]["release"] == 1
    app.does("stop")
    app.does("restart")
    (app.data / "go").touch()
    app.server.wait(lambda: name not in app.ps())
    assert "| one\n" in log(app, name)

    # What it was the last to need is let go with the next release.
    folder = app.server.root / "releases" / "steady"
    app.commit(version_txt="five")
    app.deployed()
    texts = {path.read_text() for path in folder.glob("*/version.txt")}
    assert "one" not in texts and "five" in texts

    # And destroying the app ends what is left.
    app.server.piku("run", "--detach", "steady", "setsid sleep 610 & sleep 610")
    app.server.wait(lambda: len(running("sleep 610")) == 2)
    app.does("destroy", "--force")
    assert not running("sleep 610")


def test_a_detached_command_whose_shell_was_killed_is_not_forgotten(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    app = new_app("guard", web("guard"), on=own_server)
    name = own_server.piku("run", "--detach", "guard", "sleep 611").stdout.strip()
    own_server.wait(lambda: running("sleep 611"))
    os.kill(app.ps()[name]["pid"], signal.SIGKILL)
    [pid] = running("sleep 611")
    assert app.ps()[name]["pid"] == pid
    # It does not depend on the platform, which may stop and start.
    own_server.stop_platform()
    own_server.start_platform()
    assert app.ps()[name]["pid"] == pid
    app.does("ps:stop", name)
    assert name not in app.ps() and not running("sleep 611")


def test_a_process_type_called_run_is_told_apart(new_app: Callable[..., App]) -> None:
    app = new_app("runner", {"Procfile": "run: exec sleep 612\n"})
    assert app.ps()["run.1"]["state"] == "up"
    refused(app.server.piku("run", "--detach", "runner", "true"), 1, "process type 'run'")
