"""Which commits the further rows take, and what they say when their programs are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from piku import runtimes
from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.extras.languages.rows import ROWS
from piku.runtimes.base import Context, Runtime

WEB = "web: ./server\n"
PACKAGE = {"package.json": "{}"}
PROJECT = {"pyproject.toml": '[project]\nname = "it"\n'}


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(
        files={path: f"id of {text}" for path, text in files.items()},
        read=lambda path: files.get(path, ""),
    )


def row(files: Mapping[str, str], text: str) -> Runtime:
    rows = (*ROWS, *runtimes.RUNTIMES)
    return next(each for each in rows if each.detect(tree(files), procfile.parse(text)))


@pytest.mark.parametrize(
    ("files", "text", "name"),
    [
        ({"mix.exs": ""}, WEB, "elixir"),
        ({"mix.exs": "", **PACKAGE}, WEB, "elixir"),
        ({"shop.csproj": ""}, WEB, "dotnet"),
        ({"shop.fsproj": "", **PACKAGE}, WEB, "dotnet"),
        ({"src/shop.csproj": ""}, WEB, "plain"),
        ({**PROJECT, "pdm.lock": ""}, WEB, "pdm"),
        ({**PROJECT, "pdm.lock": "", "requirements.txt": ""}, WEB, "python"),
        ({**PROJECT, "pdm.lock": "", "uv.lock": ""}, WEB, "uv"),
        ({"pyproject.toml": "[tool.pdm]\n"}, WEB, "uv"),
        (PROJECT, "web: hatch run serve\n", "hatch"),
        (PROJECT, f"{WEB}release: hatch run migrate\n", "hatch"),
        ({"pyproject.toml": "[tool.hatch.envs.default]\n"}, WEB, "uv"),
        ({"pyproject.toml": "[tool.poetry]\n"}, "web: hatch run serve\n", "poetry"),
        ({**PACKAGE, "bun.lock": ""}, WEB, "bun"),
        (PACKAGE, "web: bun server.ts\n", "bun"),
        (PACKAGE, "web: exec bunx --bun serve\n", "bun"),
        (PACKAGE, WEB, "node"),
        (PACKAGE, "web: node bundle.js\n", "node"),
        ({**PACKAGE, "package-lock.json": ""}, "web: bun server.ts\n", "node"),
        ({"bun.lock": "", "requirements.txt": "", **PACKAGE}, WEB, "python"),
        ({}, "web: exec deno run main.ts\n", "deno"),
        ({**PACKAGE, "deno.json": ""}, "web: deno task start\n", "deno"),
        ({**PACKAGE, "deno.json": ""}, WEB, "node"),
        ({"deno.json": ""}, "static: dist\n", "deno"),
        ({"deno.lock": ""}, WEB, "deno"),
        ({"deno.json": "", "requirements.txt": ""}, WEB, "python"),
    ],
)  # fmt: skip
def test_what_is_recognised(files: Mapping[str, str], text: str, name: str) -> None:
    assert row(files, text).name == name


@pytest.mark.parametrize(
    ("files", "text", "programs", "hint"),
    [
        ({"mix.exs": ""}, WEB, "elixir", "apt-get install elixir"),
        ({"shop.csproj": ""}, WEB, "dotnet", "https://learn.microsoft.com/dotnet/"),
        ({**PROJECT, "pdm.lock": ""}, WEB, "pdm", "apt-get install python3-pdm"),
        (PROJECT, "web: hatch run serve\n", "hatch", "pipx install hatch"),
        ({**PACKAGE, "bun.lock": ""}, WEB, "npm", "apt-get install nodejs npm"),
        ({"deno.json": ""}, WEB, "npm or deno", "apt-get install npm"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, files: Mapping[str, str], text: str, programs: str, hint: str
) -> None:
    with pytest.raises(PikuError) as caught:
        runtimes.select(tree(files), procfile.parse(text), str(tmp_path))
    assert programs in caught.value.message
    assert hint in caught.value.hint


def context(files: Mapping[str, str], place: Path = Path("/r/one"), **settings: str) -> Context:
    return Context(
        tree=tree(files), settings=settings, checkout=place, environment=Path("/e"), cache=Path("/c")
    )  # fmt: skip


def key(name: str, files: Mapping[str, str], place: Path = Path("/r/one"), **settings: str) -> str:
    found = next(each for each in ROWS if each.name == name)
    assert found.key is not None
    return found.key(context(files, place, **settings))


def test_what_an_environment_of_elixir_depends_on() -> None:
    own = {"mix.exs": "one", "mix.lock": "one", "config/config.exs": "one", "lib/a.ex": "one"}
    same = key("elixir", own)
    assert key("elixir", {**own, "lib/a.ex": "two"}) == same
    for path in ("mix.exs", "mix.lock", "config/config.exs"):
        assert key("elixir", {**own, path: "two"}) != same
    assert key("elixir", own, MIX_ENV="test") != same
    # A dependency in the repository is compiled from its files.
    own["mix.exs"] = '{:a, path: "libs/a"}'
    assert key("elixir", {**own, "libs/a/a.ex": "1"}) != key("elixir", {**own, "libs/a/a.ex": "2"})


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"mix.exs": "deps: []"}, False),
        ({"mix.exs": '[{:dep, git: "https://example.com/dep.git"}]'}, False),
        ({"mix.exs": '[{:plug, "~> 1.14"}]'}, True),
        ({"mix.exs": "", "mix.lock": '"plug": {:hex, :plug, "1.14.0", "b4"}'}, True),
    ],
)
def test_hex_is_installed_where_something_comes_from_it(
    own: Mapping[str, str], *, wanted: bool
) -> None:
    elixir = next(each for each in ROWS if each.name == "elixir")
    tools = [run.argv[1] for run in elixir.build(context(own)) if run.argv[0] == "mix"]
    hex_tools = ["local.hex", "local.rebar"] if wanted else []
    assert tools == [*hex_tools, "deps.get", "deps.compile"]


def test_what_an_environment_of_pdm_depends_on() -> None:
    own = {**PROJECT, "pdm.lock": "one", "app.py": "one"}
    same = key("pdm", own)
    assert key("pdm", {**own, "app.py": "two"}, Path("/r/two")) == same
    assert key("pdm", {**own, "pdm.lock": "two"}) != same
    assert key("pdm", own, PDM_PYPI_URL="https://example.com/simple") != same
    # A project that is installed itself belongs to its commit, unless it says that it is none.
    own["pyproject.toml"] += "[build-system]\n"
    assert key("pdm", own) != key("pdm", own, Path("/r/two"))
    own["pyproject.toml"] += "[tool.pdm]\ndistribution = false\n"
    assert key("pdm", own) == key("pdm", own, Path("/r/two"))


@pytest.mark.parametrize(
    ("own", "bound"),
    [
        ("", True),
        ("[tool.hatch.envs.default]\nskip-install = true\n", False),
        ("[tool.hatch.envs.default]\ndetached = true\n", False),
    ],
)
def test_whether_an_environment_of_hatch_has_the_project(own: str, *, bound: bool) -> None:
    files = {"pyproject.toml": f"{PROJECT['pyproject.toml']}{own}"}
    assert (key("hatch", files) != key("hatch", files, Path("/r/two"))) == bound
    assert key("hatch", files) != key("hatch", {**files, "hatch.toml": ""})


def test_what_deno_downloads() -> None:
    """Modules that the Procfile or a task names, so that none is fetched when a process starts."""
    tasks = json.dumps({"tasks": {"start": "deno run -A ./src/main.tsx", "x": "deno run gone.ts"}})
    files = {
        "Procfile": "web: deno task start\nworker: deno run worker.mts --quick\n",
        "deno.json": tasks, "src/main.tsx": "", "worker.mts": "", "other.ts": "", "deno.lock": "",
    }  # fmt: skip
    deno = next(each for each in ROWS if each.name == "deno")
    assert [run.argv for run in deno.compile(context(files))] == [
        ("deno", "install", "--frozen"),
        ("deno", "cache", "--frozen", "src/main.tsx", "worker.mts"),
    ]
    assert key("deno", files, DENO_VERSION="2.1") == "deno@2.1"
    with pytest.raises(PikuError, match="a Deno version such as 2"):
        key("deno", files, DENO_VERSION="two")
