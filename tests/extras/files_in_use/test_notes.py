"""The files of an app that do not count, or not as they look."""

import json
import re

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.extras.files_in_use.notes import notes
from piku.runtimes import RUNTIMES

PROCFILE = procfile.parse("web: x")
DEPENDENCIES = '[project]\nname = "x"\ndependencies = ["flask"]\n'


def said(*paths: str, **contents: str) -> list[str]:
    files = {**dict.fromkeys(paths, ""), **contents}
    tree = Tree(files=files, read=lambda path: files.get(path, ""))
    runtime = next(row for row in RUNTIMES if row.detect(tree, PROCFILE))
    return list(notes(runtime, tree, PROCFILE))


def test_one_of_two_languages_counts() -> None:
    used = "Built as {}: what there is for {} is not used"
    assert said("pom.xml", "build.gradle") == [used.format("Java (Maven)", "Java (Gradle)")]
    both = said("requirements.txt", **{"pyproject.toml": DEPENDENCIES})
    assert both == [used.format("Python (requirements.txt)", "Python (uv)")]
    # A pyproject.toml with settings of tools alone installs nothing.
    assert said("requirements.txt", **{"pyproject.toml": "[tool.ruff]\nline-length = 99\n"}) == []
    poetry = '[tool.poetry.dependencies]\npython = "^3.11"\nflask = "*"\n'
    both = said("requirements.txt", **{"pyproject.toml": poetry})
    assert both == [used.format("Python (requirements.txt)", "Python (Poetry)")]
    assert said(**{"pyproject.toml": poetry}) == said(**{"pyproject.toml": DEPENDENCIES}) == []
    both = said("requirements.txt", **{"package.json": "{}"})
    assert both == [used.format("Python (requirements.txt)", "Node.js")]
    assert said("requirements.txt", "app.py", "index.html") == []


def test_node() -> None:
    package = json.dumps({"dependencies": {"ms": "1"}})
    committed = said("node_modules/ms/index.js", **{"package.json": package})
    assert committed == [
        "node_modules is installed anew: remove it with git rm -r --cached node_modules"
    ]
    locks = said("package-lock.json", "yarn.lock", **{"package.json": package})
    assert locks[0].startswith("There are package-lock.json and yarn.lock, of which one counts")
    assert said("yarn.lock", **{"package.json": package}) == []


@pytest.mark.parametrize(
    "line",
    ["git+https://host/a/b.git@main", "git+https://host/a/b", "b @ git+https://host/a/b.git@v1.2 # x",
     "-e git+ssh://git@host/a/b.git@main#egg=b"],
)  # fmt: skip
def test_a_requirement_that_follows_a_branch(line: str) -> None:
    (found,) = said(**{"requirements.txt": f"flask\n{line}\n"})
    assert re.match(r"git\+\S+/a/b(\.git)? is not fetched again when its branch moves", found)
    assert found.endswith("pin it in requirements.txt")


def test_a_password_is_not_shown() -> None:
    (found,) = said(**{"requirements.txt": "git+https://me:token@host/a/b.git@main\n"})
    assert found.startswith("git+https://host/a/b.git is not fetched again")


@pytest.mark.parametrize(
    "line",
    ["git+https://host/a/b.git@0123456789abcdef", "# git+https://host/a/b", "flask",
     "-e git+ssh://git@host/a/b.git@0123456#egg=b"],
)  # fmt: skip
def test_one_that_does_not(line: str) -> None:
    assert said(**{"requirements.txt": f"{line}\n"}) == []
