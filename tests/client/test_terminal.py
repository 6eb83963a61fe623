"""A person at a terminal of the laptop."""

import json
from pathlib import Path

from tests.client.laptop import Laptop
from tests.e2e.support import App
from tests.e2e.terminal import CTRL_C, CTRL_D, Terminal

NAME = "bazaar"


def at(laptop: Laptop, folder: Path, *words: str, rows: int = 24, columns: int = 80) -> Terminal:
    return Terminal(
        laptop.server,
        program=[*laptop.program, *words],
        env=laptop.env,
        cwd=folder,
        rows=rows,
        columns=columns,
    )


def test_a_program_has_the_terminal_and_its_size(laptop: Laptop, checkout: Path) -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do read -t 0.1 line && exit 4; done"
    with at(laptop, checkout, "run", script, rows=30, columns=101) as terminal:
        terminal.wait_for(r"^30 101")
        terminal.resize(55, 132)
        terminal.wait_for(r"^55 132")
        terminal.types("\n")
        assert terminal.ends()[0] == 4


def test_control_c_is_for_the_program(laptop: Laptop, checkout: Path) -> None:
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do read -t 0.1 line; done"
    with at(laptop, checkout, "run", script) as terminal:
        terminal.wait_for("^ready")
        terminal.types(CTRL_C)
        terminal.wait_for("caught")
        assert terminal.ends()[0] == 9
    with at(laptop, checkout, "logs") as terminal:
        terminal.wait_for(r"\|")
        terminal.types(CTRL_C)
        code, shown = terminal.ends()
        assert code == 130
        assert "Traceback" not in shown and " !     " not in shown


def test_control_c_ends_a_program_and_a_job(laptop: Laptop, checkout: Path, shop: App) -> None:
    with at(laptop, checkout, "run", "echo ready; exec sleep 613") as terminal:
        terminal.wait_for("^ready")
        terminal.types(CTRL_C)
        assert terminal.ends()[0] == 130
    shop.does("config:set", "--no-restart", "TIDY=echo ready; exec sleep 614")
    shop.does("restart")
    with at(laptop, checkout, "cron:run", "tidy") as terminal:
        terminal.wait_for("^ready")
        terminal.types(CTRL_C)
        assert terminal.ends()[0] == 130
    [job] = json.loads(laptop.says(checkout, "cron", "--json"))
    assert (job["running_since"], job["code"]) == (None, 130)


def test_a_shell(laptop: Laptop, checkout: Path) -> None:
    with at(laptop, checkout, "shell") as terminal:
        terminal.wait_for(r"/bazaar/v\d+\$ ")
        terminal.types("echo $APP-$((6*7))\n")
        terminal.wait_for("^bazaar-42")
        terminal.types(f"exit 5{CTRL_D}\n")
        assert terminal.ends()[0] == 5
    # Without a terminal it reads its commands.
    assert laptop.says(checkout, "shell", input="echo $APP\n") == "bazaar\n"


def test_tmux_is_still_there_the_next_time(laptop: Laptop, checkout: Path) -> None:
    result = laptop.piku(checkout, "tmux")
    assert result.returncode == 1 and "not a terminal" in result.stdout + result.stderr
    with at(laptop, checkout, "tmux") as terminal:
        terminal.wait_for(r"\$ ")
        terminal.types("MARK=still-here; echo is-$MARK\n")
        terminal.wait_for("is-still-here")
    # The terminal was closed without a word: a session outlives that.
    with at(laptop, checkout, "tmux") as terminal:
        terminal.wait_for("is-still-here")
        terminal.types("echo again-$MARK-$APP\n")
        terminal.wait_for("again-still-here-bazaar")
        terminal.types("exit\n")
        assert terminal.ends()[0] == 0


def test_a_question(laptop: Laptop, checkout: Path, shop: App) -> None:
    with at(laptop, checkout, "destroy") as terminal:
        terminal.wait_for("Type its name")
        terminal.types("no\n")
        assert terminal.ends()[0] == 1
    assert shop.status() == 200


def test_a_question_of_the_client(laptop: Laptop, checkout: Path) -> None:
    (checkout / "asked.env").write_text("ASKED=1\n")
    with at(laptop, checkout, "config:push", "asked.env") as terminal:
        terminal.wait_for(r"Set them\? \[Y/n\]")
        terminal.types("n\n")
        assert terminal.ends()[0] == 130
    assert "ASKED" not in laptop.says(checkout, "config")
