"""One-off commands: with pipes, in a real terminal, and detached."""

import os
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, refused, web
from tests.e2e.terminal import CTRL_C, CTRL_D, CTRL_Z, Terminal


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    return new_app("once", web("once", version_txt="one"))


def test_run(app: App) -> None:
    assert app.asked("run", "exit 7").returncode == 7
    assert app.asked("run", "no-such-program").returncode == 127
    result = app.asked("run", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert app.asked("run", "cat", input="first\nsecond\n").stdout == "first\nsecond\n"
    # Several words are a program and its arguments, as they are.
    assert app.asked("run", "printf", "%s|", "a b", "$HOME", "*").stdout == "a b|$HOME|*|"
    assert app.asked("run", "ls", "-a", "version.txt").stdout == "version.txt\n"
    assert app.asked("run", "--", "echo", "--help").stdout == "--help\n"
    assert app.asked("run", "pwd").stdout.strip() == app.about()["cwd"]
    assert app.asked("run", "kill -9 $$").returncode == 137
    assert app.asked("run", "kill -9 $$", tty=True).returncode == 137
    refused(app.says("run"), 2)


def test_a_pipe_that_is_closed_ends_the_command_as_it_would_anywhere(app: App) -> None:
    result = app.says("run", "yes | head -1; echo ${PIPESTATUS[0]}")
    assert (result.stdout, result.stderr) == ("y\n141\n", "")  # 141: ended by SIGPIPE


def test_run_with_a_terminal(app: App) -> None:
    result = app.asked(
        "run",
        "test -t 0 && test -t 1 && echo a terminal; stty -echo; read line; echo got $line",
        input="typed\n",
        tty=True,
    )
    assert result.returncode == 0
    assert "a terminal" in result.stdout
    assert "got typed" in result.stdout


def test_a_program_follows_the_size_of_its_terminal(app: App) -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do read -t 0.1 line && exit 4; done"
    with Terminal(
        app.server, shlex.join(["run", "once", script]), rows=30, columns=101
    ) as terminal:
        terminal.wait_for(r"^30 101")
        terminal.resize(55, 132)
        terminal.wait_for(r"^55 132")
        terminal.types("\n")
        assert terminal.ends()[0] == 4


def test_a_shell_has_a_prompt_and_job_control(app: App) -> None:
    with Terminal(app.server, "run once bash") as terminal:
        prompt = rf"once v{app.live()}:\$ "
        terminal.wait_for(prompt)
        terminal.types("mkdir -p /tmp && cd /tmp\n")
        terminal.wait_for(rf"once v{app.live()}:/tmp\$ ")
        terminal.types("cd $OLDPWD; echo $((40 + 2)) $TERM; tty\n")
        terminal.wait_for(r"^42 xterm\r\n/dev/pts/")
        terminal.wait_for(prompt)
        # Ctrl-C ends what runs in it, and not the shell.
        terminal.types("sleep 604\n")
        app.server.wait(lambda: _running("sleep 604"))
        terminal.types(CTRL_C)
        terminal.wait_for(prompt)
        terminal.types("echo $?\n")
        terminal.wait_for(r"^130")
        # Ctrl-Z stops it, and fg has it go on.
        terminal.types("sleep 605\n")
        [sleeper] = app.server.wait(lambda: _running("sleep 605"))
        terminal.types(CTRL_Z)
        terminal.wait_for(r"^\[1\]\+ +Stopped +sleep 605")
        terminal.wait_for(prompt)
        assert _state(sleeper) == "T"
        terminal.types("fg\n")
        app.server.wait(lambda: _state(sleeper) == "S")
        terminal.types(CTRL_C)
        terminal.wait_for(prompt)
        terminal.types(CTRL_D)
        assert terminal.ends()[0] == 130
    assert not _running("sleep 605")


def test_ctrl_c_ends_a_program_without_a_shell(app: App) -> None:
    with Terminal(app.server, "run once sleep 606") as terminal:
        app.server.wait(lambda: _running("sleep 606"))
        terminal.types(CTRL_C)
        code, shown = terminal.ends()
    assert code == 130 and "Traceback" not in shown
    assert not _running("sleep 606")


def test_a_terminal_that_goes_away_takes_its_program_along(app: App) -> None:
    with Terminal(app.server, "run once sleep 607"):
        app.server.wait(lambda: _running("sleep 607"))
    app.server.wait(lambda: not _running("sleep 607"))


def _running(command: str) -> list[int]:
    """The processes with this command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().replace(b"\0", b" ").strip() == command.encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# --- detached ------------------------------------------------------------------------------------


def detach(app: App, *words: str) -> str:
    """`ssh piku@server run --detach APP WORDS`: the name."""
    result = app.server.ssh("run", "--detach", app.name, *words)
    assert result.returncode == 0, result.stderr
    assert f"piku ps:stop {app.name} {result.stdout.strip()}" in result.stderr
    return result.stdout.strip()


def log(app: App, name: str) -> str:
    return app.does("logs", name, "--no-follow")


def test_a_detached_command_goes_on_and_keeps_a_log(app: App) -> None:
    begun = time.monotonic()
    name = detach(
        app,
        "'echo hello from $PIKU_PROCESS; pwd; until [ -e $DATA_ROOT/go ]; do sleep 0.05; done; exit 3'",
    )
    assert time.monotonic() - begun < 5  # the connection has ended, it goes on
    row = app.ps()[name]
    assert (row["state"], row["release"]) == ("running", app.live())
    assert row["memory"] > 500_000 and row["uptime"] < 60
    assert os.getsid(row["pid"]) == row["pid"]
    assert name in app.does("ps") and name in app.server.piku("ps").stdout
    app.server.wait(lambda: f"hello from {app.name}@{name}" in log(app, name))
    assert app.about()["cwd"] in log(app, name)
    (app.data / "go").touch()
    app.server.wait(lambda: name not in app.ps())
    said = log(app, name).splitlines()
    assert "begins: echo hello" in said[0] and "ended with exit code 3" in said[-1]
    file = app.server.root / "logs" / app.name / f"{name}.log"
    assert file.stat().st_mode & 0o777 == 0o640

    # The next one has the next number; words are taken as they are, options after the command as well.
    number = int(name.partition(".")[2])
    second = detach(app, "printf", "%s,", "--detach", "--json")
    assert second == f"run.{number + 1}"
    app.server.wait(lambda: "ended with exit code 0" in log(app, second))
    assert "--detach,--json," in log(app, second)


def test_options_of_run_stand_before_the_app(app: App) -> None:
    refused(app.says("run", "--detach", "sleep 1"), 2, "before the app")
    refused(app.server.piku("run", "--detach", "once"), 2)
    refused(app.server.piku("run", "--detach", "nosuch", "true"), 1, "no app called 'nosuch'")


def test_a_detached_command_that_is_stopped_takes_all_it_started_along(app: App) -> None:
    app.does("config:set", "PIKU_STOP_TIMEOUT=1")
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(608)"
    script = f"trap : TERM; python3 -ISc '{deaf}' & setsid sleep 608 & sleep 608"
    name = app.server.piku("run", "--detach", app.name, script).stdout.strip()
    app.server.wait(lambda: len(_running("sleep 608")) == 2)
    other = app.server.piku("run", "--detach", app.name, "sleep 609").stdout.strip()

    refused(app.says("ps:stop", "web.1"), 1, "'web.1'", name)
    app.does("ps:stop", name)
    assert not _running("sleep 608") and not _running(f"python3 -ISc {deaf}")
    assert "ended" in log(app, name).splitlines()[-1]
    refused(app.says("ps:stop", name), 1, repr(name))
    assert _running("sleep 609") and other in app.ps()
    app.does("ps:stop", other)
    assert "was ended by signal 15" in log(app, other)


def test_a_detached_command_outlives_deploys_with_its_files(new_app: Callable[..., App]) -> None:
    app = new_app("steady", web("steady", env="PIKU_KEEP_RELEASES=1\n", version_txt="one"))
    name = app.server.piku(
        "run",
        "--detach",
        "steady",
        "until [ -e $DATA_ROOT/go ]; do sleep 0.05; done; cat version.txt",
    ).stdout.strip()
    for version in ("two", "three", "four"):
        app.commit(version_txt=version)
        app.deployed()
    app.does("restart")
    assert app.ps()[name]["release"] == 1
    assert f"{name} goes on" in app.does("stop")
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
    app.server.wait(lambda: len(_running("sleep 610")) == 2)
    app.does("destroy", "--force")
    assert not _running("sleep 610")


def test_a_detached_command_whose_runner_was_killed_is_not_forgotten(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    app = new_app("guard", web("guard"), on=own_server)
    name = own_server.piku("run", "--detach", "guard", "sleep 611").stdout.strip()
    pid = app.ps()[name]["pid"]
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert app.ps()[name]["pid"] == pid
    # It has nothing to do with the platform: that ends, and starts anew.
    own_server.stop_platform()
    own_server.start_platform()
    assert app.ps()[name]["pid"] == pid
    app.does("ps:stop", name)
    assert name not in app.ps() and not _running("sleep 611")


def test_a_process_type_called_run_is_told_apart(new_app: Callable[..., App]) -> None:
    app = new_app("runner", {"Procfile": "run: exec sleep 612\n"})
    assert app.ps()["run.1"]["state"] == "up"
    refused(app.server.piku("run", "--detach", "runner", "true"), 1, "process type 'run'")
