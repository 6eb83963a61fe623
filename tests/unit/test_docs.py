"""The reference says what the code does, and the code says it of everything."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import click
import pytest

import docs
from piku.app import settings
from piku.app.settings import Setting
from piku.cli.commands import COMMANDS


@pytest.mark.parametrize("name", docs.pages())
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (docs.DOCS / name).read_text() == docs.pages()[name], "run: make docs"


@pytest.mark.parametrize("setting", settings.table().values(), ids=lambda setting: setting.name)
def test_every_setting_has_a_sentence(setting: Setting[object]) -> None:
    assert setting.doc.endswith(".") and len(setting.doc.split()) >= 4
    assert f"\n### {setting.name}\n\n{setting.doc}\n" in docs.pages()["settings.md"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    _, command = next(pair for pair in docs.commands() if pair[0].info_name == name)
    assert command.help and command.help.strip().endswith(".") and len(command.help.split()) >= 3
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} lacks help"
    assert (f"\n## {name}\n" in docs.pages()["commands.md"]) != command.hidden
    assert command.name == name, "usage lines would show another name"


def test_a_shell_offers_every_command(tmp_path: Path) -> None:
    asked = {"_PIKU_COMPLETE": "bash_complete", "COMP_WORDS": "piku ", "COMP_CWORD": "1"}
    offered = subprocess.run(
        [str(docs.CHECKOUT / "bin" / "piku")], env={**os.environ, "PIKU_ROOT": str(tmp_path), **asked},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    documented = re.findall(r"^## (\S+)$", docs.pages()["commands.md"], re.M)
    assert sorted(offered.replace("plain,", "").split()) == sorted(documented)


@pytest.mark.parametrize("name", [name for name in settings.table() if name.startswith("NGINX_")])
def test_the_page_on_nginx_shows_every_setting_for_it(name: str) -> None:
    assert name in (docs.DOCS / "nginx.md").read_text()


def test_a_page_shows_the_files_of_its_example() -> None:
    page = docs.pages()["howto/flask.md"]
    app = (docs.CHECKOUT / "examples" / "howto-flask" / "app.py").read_text()
    assert f"\n`app.py`\n\n```python\n{app.strip()}\n```\n" in page


def test_every_example_has_a_page() -> None:
    written = "\n".join(path.read_text() for path in docs.DOCS.rglob("*.md"))
    for example in sorted((docs.CHECKOUT / "examples").iterdir()):
        assert example.name in written, f"no page names examples/{example.name}"


RELIABILITY = (docs.DOCS / "reliability.md").read_text()
FAULTS = [line for line in RELIABILITY.splitlines() if line.startswith("| ")][2:]
SECURITY = (docs.DOCS / "security.md").read_text().partition("| who | is trusted with")[2]
WHO = [line for line in SECURITY.partition("\n\n")[0].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize(
    "row", [*FAULTS, *WHO], ids=lambda row: row.split(" | ")[0].removeprefix("| ")
)
def test_every_fault_and_everybody_has_their_test(row: str) -> None:
    shown = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row.split(" | ")[-1])
    assert shown
    for file, name in shown:
        text = (docs.CHECKOUT / file).read_text()
        assert f"\ndef {name or 'test_'}" in text, f"{file} has no {name}"


def test_every_file_of_faults_is_on_the_page() -> None:
    for path in (docs.CHECKOUT / "tests" / "faults").glob("test_*.py"):
        assert path.name in RELIABILITY, f"no fault names {path.name}"
