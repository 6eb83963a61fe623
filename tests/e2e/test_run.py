"""One-off commands: with pipes and in a real terminal."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import App, refused, running, web
from tests.e2e.terminal import CTRL_C, CTRL_D, CTRL_Z, Terminal


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    procfile = "greet: echo Hello\n"
    app = new_app("once", web("once", procfile=procfile, version_txt="one"), push=False)
    assert app.says("ps:scale", "greet=0").returncode == 0
    app.deployed()
    return app


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
    assert app.asked("run", "--").returncode == 2
    assert app.asked("run", "pwd").stdout.strip() == app.about()["cwd"]
    assert app.asked("run", "kill -9 $$").returncode == 137
    assert app.asked("run", "kill -9 $$", tty=True).returncode == 137
    refused(app.says("run"), 2)


@pytest.mark.parametrize(
    ("typed", "printed"),
    [  # what a person types after `ssh piku@server`; the laptop's own shell takes its quotes
        (["run", "once", "echo $APP"], "once\n"),
        (["run", "once", "echo a b | tr ' ' -"], "a-b\n"),
        (["run", "once", "'echo a b | tr a-z A-Z'"], "A B\n"),
        (["run once echo '$APP'"], "$APP\n"),
        (["run once echo 'two  blanks' \\| done"], "two  blanks | done\n"),
        (["run", "once", "--", "echo", "--help"], "--help\n"),
        (["piku", "run", "once", "echo ${APP}s"], "onces\n"),
        (["run", "once", "greet"], "Hello\n"),
        (["run", "once", "greet", "you 'and  me'"], "Hello you and  me\n"),
    ],
)
def test_over_plain_ssh_a_shell_runs_what_was_typed(
    app: App, typed: list[str], printed: str
) -> None:
    assert app.server.ssh(*typed).stdout == printed


def test_a_process_type_stands_for_its_command(app: App) -> None:
    assert app.says("run", "greet", "a  b", "$HOME").stdout == "Hello a  b $HOME\n"


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


def test_a_shell_has_job_control(app: App) -> None:
    with Terminal(app.server, "run once bash") as terminal:
        prompt = rf"/once/v{app.live()}\$ "
        terminal.wait_for(prompt)
        terminal.types("mkdir -p /tmp && cd /tmp\n")
        terminal.wait_for(r":/tmp\$ ")
        terminal.types("cd $OLDPWD; echo $((40 + 2)) $TERM; tty\n")
        terminal.wait_for(r"^42 xterm\r\n/dev/pts/")
        terminal.wait_for(prompt)
        # Ctrl-C ends what runs in it, and not the shell.
        terminal.types("sleep 604\n")
        app.server.wait(lambda: running("sleep 604"))
        terminal.types(CTRL_C)
        terminal.wait_for(prompt)
        terminal.types("echo $?\n")
        terminal.wait_for(r"^130")
        # Ctrl-Z stops it, and fg has it go on.
        terminal.types("sleep 605\n")
        [sleeper] = app.server.wait(lambda: running("sleep 605"))
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
    assert not running("sleep 605")


def test_ctrl_c_ends_a_program_without_a_shell(app: App) -> None:
    with Terminal(app.server, "run once sleep 606") as terminal:
        app.server.wait(lambda: running("sleep 606"))
        terminal.types(CTRL_C)
        code, shown = terminal.ends()
    assert code == 130 and "Traceback" not in shown
    assert not running("sleep 606")


def test_a_terminal_that_goes_away_takes_its_program_along(app: App) -> None:
    with Terminal(app.server, "run once sleep 607"):
        app.server.wait(lambda: running("sleep 607"))
    app.server.wait(lambda: not running("sleep 607"))


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
