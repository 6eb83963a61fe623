"""What a Node.js environment depends on, and the programs that make one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes import node
from piku.runtimes.base import Context

PACKAGE = json.dumps({"dependencies": {"ms": "2"}})


def context(
    files: Mapping[str, str] | None = None, place: Path = Path("/r/one"), **settings: str
) -> Context:
    own = {"package.json": PACKAGE, **(files or {})}
    tree = Tree(
        files={path: f"id of {text}" for path, text in own.items()},
        read=lambda path: own.get(path, ""),
    )
    return Context(
        tree=tree, settings=settings, checkout=place, environment=Path("/e"), cache=Path("/c")
    )  # fmt: skip


def key(
    files: Mapping[str, str] | None = None, place: Path = Path("/r/one"), **settings: str
) -> str:
    """The key where a version is given, so that none of this machine is asked."""
    assert node.NODE.key is not None
    return node.NODE.key(context(files, place, **{"NODE_VERSION": "18", **settings}))


def install(files: Mapping[str, str] | None = None, **settings: str) -> tuple[str, ...]:
    """The last program of the build."""
    return list(node.NODE.build(context(files, **settings)))[-1].argv


@pytest.mark.parametrize(
    ("files", "manager", "expected"),
    [
        ({}, "", "npm install --package-lock=false --no-audit --no-fund"),
        ({"package-lock.json": ""}, "", "npm ci --no-audit --no-fund"),
        ({"npm-shrinkwrap.json": ""}, "npm --omit=dev", "npm ci --no-audit --no-fund --omit=dev"),
        ({"package-lock.json": ""}, "npm --package-lock=false",
         "npm install --package-lock=false --no-audit --no-fund --package-lock=false"),
        ({"yarn.lock": ""}, "", "yarn install --non-interactive --frozen-lockfile"),
        ({"yarn.lock": "", "package-lock.json": ""}, "", "npm ci --no-audit --no-fund"),
        ({"pnpm-lock.yaml": ""}, "pnpm@9 --prod", "pnpm install --frozen-lockfile --store-dir /c/pnpm --prod"),
        ({"package-lock.json": ""}, "pnpm", "pnpm install --no-lockfile --store-dir /c/pnpm"),
        ({"bun.lock": ""}, "", "bun install --frozen-lockfile"),
        ({"yarn.lock": ""}, "yarn@4 --mode=skip-build", "yarn install --immutable --mode=skip-build"),
        ({"yarn.lock": "#\n\n__metadata:\n  version: 8\n"}, "", "yarn install --immutable"),
        ({"package.json": '{"packageManager": "yarn@4.5.0+sha512.abc"}'}, "", "yarn install --no-immutable"),
        ({}, "cnpm@9", "cnpm install"),
        ({}, "@scope/tool@2", "tool install"),
        ({"package.json": '{"packageManager": "pnpm@9.1.0+sha512.abc"}'}, "",
         "pnpm install --no-lockfile --store-dir /c/pnpm"),
    ],
)  # fmt: skip
def test_the_package_manager(files: Mapping[str, str], manager: str, expected: str) -> None:
    assert " ".join(install(files, NODE_PACKAGE_MANAGER=manager)) == expected


def test_other_managers_are_installed_beside_the_packages() -> None:
    def installed(files: Mapping[str, str] | None = None, **settings: str) -> list[str]:
        runs = node.NODE.build(context(files, **settings))
        return [run.argv[-1] for run in runs if run.argv[:3] == ("npm", "install", "--global")]

    assert installed() == []
    assert installed(NODE_PACKAGE_MANAGER="npm@9") == ["npm@9"]
    assert installed(NODE_PACKAGE_MANAGER="yarn") == ["yarn@1"]
    assert installed(NODE_PACKAGE_MANAGER="yarn@1.22") == ["yarn@1.22"]
    # npm's own "yarn" ends with Yarn 1.
    berry = "@yarnpkg/cli-dist"
    assert installed(NODE_PACKAGE_MANAGER="yarn@^4.1") == [f"{berry}@^4.1"]
    assert installed({"yarn.lock": "\n__metadata:\n"}) == [f"{berry}@4"]
    assert installed(NODE_PACKAGE_MANAGER="pnpm@9 --prod") == ["pnpm@9"]
    assert installed({"package.json": '{"packageManager": "pnpm@9.1.0+sha512.abc"}'}) == [
        "pnpm@9.1.0"
    ]


def test_what_an_environment_depends_on() -> None:
    same = key()
    assert key({"server.js": "x"}) == same
    assert key({"lib/package.json": "x"}) == same
    assert key(COLOR="green") == same
    assert key(place=Path("/r/two")) == same
    others = [
        key({"package.json": PACKAGE + " "}), key({"package-lock.json": ""}), key({".npmrc": ""}),
        key({"yarn.lock": ""}), key(NODE_VERSION="20"), key(NODE_VERSION="22"), key(NODE_ENV="production"),
        key(NPM_CONFIG_REGISTRY="https://example.com"), key(npm_config_registry="https://example.com"),
        key(NODE_PACKAGE_MANAGER="pnpm"), key(NODE_PACKAGE_MANAGER="npm --omit=dev"),
    ]  # fmt: skip
    assert len({same, *others}) == len(others) + 1


@pytest.mark.parametrize(
    "package",
    [
        {"dependencies": {"greet": "file:lib/greet"}},
        {"devDependencies": {"greet": "./lib/greet"}},
        {"optionalDependencies": {"greet": "link:lib/greet"}},
        {"dependencies": {"greet": "workspace:*"}},
        {"workspaces": ["lib/*"]},
    ],
)
def test_packages_of_the_repository_count_with_all_its_files(package: object) -> None:
    own = {"package.json": json.dumps(package), "lib/greet/index.js": "one", "node_modules/x": "1"}
    assert key(own) != key({**own, "lib/greet/index.js": "two"})
    assert key(own) == key({**own, "node_modules/x": "2"})
    copies = [run.argv for run in node.NODE.build(context(own)) if run.argv[0] == "cp"]
    assert copies == [("cp", "-a", "/r/one/lib", "/r/one/package.json", "/e")]


def test_scripts_of_its_own_run_in_the_checkout_alone() -> None:
    def scripts(*names: str) -> dict[str, str]:
        return {"package.json": json.dumps({"scripts": dict.fromkeys(names, "true")})}

    def run(*names: str) -> list[str]:
        argvs = [run.argv for run in node.NODE.compile(context(scripts(*names)))]
        return [argv[-1] for argv in argvs if argv[:2] == ("npm", "run")]

    assert run("start", "test", "build") == []
    assert run("postinstall", "prepare", "start") == ["postinstall", "prepare"]
    assert run("preinstall", "install", "postinstall") == ["install"]  # which runs all three
    # They may write into the packages, which are then nobody else's.
    assert key(scripts("prepare")) != key(scripts("prepare"), Path("/r/two"))
    assert key(scripts("start")) == key(scripts("start"), Path("/r/two"))


@pytest.mark.parametrize(
    ("text", "version"), [("v20", "20"), ("20.11", "20.11"), ("v20.11.1", "20.11.1")]
)
def test_versions(text: str, version: str) -> None:
    assert key(NODE_VERSION=text).splitlines()[0] == version


def test_a_version_that_is_fetched_for_the_files_is_one_that_npm_keeps() -> None:
    asked = context(NODE_VERSION="20.11.1")
    tools = []
    for step in node.NODE.build(replace(asked, interpreter="node")):
        tools.append(step.argv[0])
        if "node-linux" in " ".join(step.argv):
            break
    assert "nodeenv" not in tools
    assert tools[-1] == "npm"


def test_a_version_that_does_not_exist_is_not_replaced_by_the_servers() -> None:
    with pytest.raises(PikuError, match=r"there is no Node\.js 4\.0\.0 for this machine"):
        list(node.NODE.build(context(NODE_VERSION="4.0.0")))


@pytest.mark.parametrize("text", ["lts", "20.", "20.1.2.3", "^20", "latest", "20; true"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(PikuError, match=r"not a Node\.js version such as 20"):
        key(NODE_VERSION=text)


def test_a_quote_that_is_not_closed() -> None:
    with pytest.raises(PikuError, match="a quote is not closed"):
        key(NODE_PACKAGE_MANAGER="npm 'x")
