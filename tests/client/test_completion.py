"""What a shell offers, by click's own completion."""

from pathlib import Path

import pytest
from sandbox import run

from tests.client.laptop import Laptop
from tests.e2e.support import App

NAME = "store"

BASH = """\
COMP_WORDBREAKS=${COMP_WORDBREAKS//:}
eval "$(_PIKU_COMPLETE=bash_source piku)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_piku_completion piku
printf "%s\\n" "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("config:p", ["config:pull", "config:push"]),
        ("ps:", ["ps:scale", "ps:stop"]),
        ("logs --no", ["--no-follow"]),
        ("--ap", ["--app"]),
    ],
)
def test_bash(laptop: Laptop, checkout: Path, words: str, expected: list[str]) -> None:
    env = {**laptop.env, "PATH": f"{Path(laptop.program[0]).parent}:{laptop.env['PATH']}"}
    typed = ["bash", "--norc", "-c", BASH, "bash", "piku", *words.split()]
    result = run(typed, env=env, cwd=checkout)
    assert (sorted(result.stdout.split()), result.stderr) == (expected, "")


def test_on_the_server_itself(laptop: Laptop, shop: App) -> None:
    asked = {"_PIKU_COMPLETE": "bash_complete", "COMP_WORDS": "piku logs ", "COMP_CWORD": "2"}
    assert laptop.server.piku(env=asked).stdout == "plain,store\n"
