"""Poetry or uv, and what their environments depend on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from piku import runtimes
from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes import python
from piku.runtimes.base import Context, Runtime
from piku.runtimes.python import POETRY, UV

PLAIN = '[project]\nname = "shop"\n'
BACKEND = '[build-system]\nbuild-backend = "{}"\n'
TOOL = '[tool.poetry]\nname = "my-shop"\n'


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(
        files={path: f"id of {text}" for path, text in files.items()},
        read=lambda path: files.get(path, ""),
    )


def key(row: Runtime, files: Mapping[str, str], place: str = "/r/one", **settings: str) -> str:
    assert row.key is not None
    context = Context(
        tree=tree(files),
        settings=settings,
        checkout=Path(place),
        environment=Path("/e"),
        cache=Path("/c"),
    )
    return row.key(context)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (PLAIN, "uv"),
        ("", "uv"),
        (BACKEND.format("setuptools.build_meta"), "uv"),
        (PLAIN + BACKEND.format("poetry.core.masonry.api"), "poetry"),
        (BACKEND.format("poetry.masonry.api"), "poetry"),
        (BACKEND.format("poetry_dynamic_versioning.backend") + TOOL, "poetry"),
        (TOOL, "poetry"),
        ("tool = 1\n", "uv"),
    ],
)
def test_which_of_the_two(text: str, name: str) -> None:
    rows = runtimes.RUNTIMES
    parsed = procfile.parse("wsgi: a:b")
    files = tree({"pyproject.toml": text, "package.json": "{}"})
    assert next(row.name for row in rows if row.detect(files, parsed)) == name
    both = tree({"pyproject.toml": text, "requirements.txt": ""})
    assert next(row.name for row in rows if row.detect(both, parsed)) == "python"


def test_a_damaged_file_is_named() -> None:
    with pytest.raises(PikuError, match=r"pyproject\.toml is malformed: .*line 2"):
        runtimes.select(
            tree({"pyproject.toml": "[project]\nname = shop\n"}), procfile.parse("wsgi: a:b")
        )


@pytest.mark.parametrize(
    ("text", "others", "itself"),
    [
        (TOOL, ["app.py"], False),
        (TOOL, ["my_shop.py"], True),
        (TOOL, ["my_shop/__init__.py"], True),
        (TOOL, ["src/my_shop/x.py"], True),
        (TOOL, ["lib/my_shop/x.py"], False),
        (TOOL + 'packages = [{include = "x"}]\n', [], True),
        (TOOL + "package-mode = false\n", ["my_shop.py"], False),
        ('[project]\nname = "my.shop"\n' + BACKEND.format("poetry.core"), ["my_shop.py"], True),
        (BACKEND.format("poetry.core"), ["app.py"], False),
    ],
)
def test_when_poetry_installs_the_project_itself(
    text: str, others: list[str], itself: bool
) -> None:
    files = {"pyproject.toml": text, **dict.fromkeys(others, "")}
    assert python.poetry_installs_project(tree(files)) is itself
    bound = key(POETRY, files) != key(POETRY, {**files, "other.py": ""})
    assert bound is itself
    assert (key(POETRY, files) != key(POETRY, files, "/r/two")) is itself


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (PLAIN, False),
        (PLAIN + BACKEND.format("hatchling.build"), True),
        (PLAIN + BACKEND.format("hatchling.build") + "[tool.uv]\npackage = false\n", False),
        (PLAIN + "[tool.uv]\npackage = true\n", True),
        (PLAIN + '[tool.uv.workspace]\nmembers = ["x"]\n', True),
        (PLAIN + '[tool.uv.sources]\nx = { path = "x" }\n', True),
        (PLAIN + "[tool.uv.sources]\nx = [{ workspace = true }]\n", True),
        (PLAIN + '[tool.uv.sources]\nx = { git = "https://example.com/x" }\n', False),
        (PLAIN + 'dependencies = ["x @ file:///x"]\n', True),
        (PLAIN + 'dependencies = ["flask>=3"]\n', False),
        (PLAIN + '[dependency-groups]\ndev = ["x @ file:x"]\n', True),
    ],
)
def test_when_an_environment_of_uv_belongs_to_one_tree(text: str, bound: bool) -> None:
    files = {"pyproject.toml": text}
    assert (key(UV, files) != key(UV, {**files, "other.py": ""})) is bound


def test_dependencies_of_poetry_that_are_folders() -> None:
    for kind in ("dependencies", "dev-dependencies", "group.dev.dependencies"):
        files = {
            "pyproject.toml": TOOL + f'[tool.poetry.{kind}]\nx = {{path = "x"}}\n',
            "x/x.py": "1",
        }
        assert key(POETRY, files) != key(POETRY, {**files, "x/x.py": "2"}), kind


@pytest.mark.parametrize(("row", "lock"), [(UV, "uv.lock"), (POETRY, "poetry.lock")])
def test_locks_and_settings_count(row: Runtime, lock: str) -> None:
    files = {"pyproject.toml": PLAIN if row is UV else TOOL}
    prefix = "UV_" if row is UV else "POETRY_"
    same = key(row, files)
    assert key(row, {**files, "app.py": ""}) == same
    assert key(row, files, COLOR="green") == same
    others = [
        key(row, {**files, lock: ""}), key(row, {**files, lock: "x"}), key(row, files, **{f"{prefix}X": "1"}),
        key(row, {"pyproject.toml": files["pyproject.toml"] + "# more\n"}),
    ]  # fmt: skip
    assert len({same, *others}) == len(others) + 1


def test_uv_is_told_which_python() -> None:
    def argv(files: Mapping[str, str], **settings: str) -> str:
        context = Context(
            tree=tree({"pyproject.toml": PLAIN, **files}), settings=settings, checkout=Path("/r"),
            environment=Path("/e"), cache=Path("/c"),
        )  # fmt: skip
        (run,) = UV.build(context)
        assert run.env["UV_PROJECT_ENVIRONMENT"] == "/e"
        return " ".join(run.argv)

    assert argv({}).startswith("uv sync --no-python-downloads --python /usr/bin/python3")
    assert argv({"uv.lock": ""}).endswith(" --locked")
    with pytest.raises(PikuError, match=r"PYTHON_VERSION=3\.7: there is no python3\.7"):
        argv({}, PYTHON_VERSION="3.7")
