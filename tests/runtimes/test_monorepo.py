"""Apps in a folder of a repository, by the real tools: workspaces, and files beside the folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.runtimes.support import built, reused

NewApp = Callable[..., App]

ENV = "PIKU_APP_DIR=apps/api\n"
UNCHANGED = "-----> Nothing in apps/api has changed since v{}: {} stays as it is"


def package(name: str, **more: object) -> str:
    return json.dumps({"name": name, "version": "1.0.0", **more})


NODE_SERVER = """\
const greet = require("greet"), ms = require("ms"), {PORT, BIND_ADDRESS} = process.env;
require("http").createServer((_, answer) => answer.end(greet(ms("1s"))))
    .listen({port: PORT, host: BIND_ADDRESS});
"""
NODE = {
    "apps/api/Procfile": "web: node server.js\n",
    "apps/api/server.js": NODE_SERVER,
    "libs/greet/package.json": package("greet", dependencies={"ms": "2.1.3"}),
    "libs/greet/index.js": 'require("ms"); module.exports = n => `one ${n}`;\n',
    "docs/page.md": "one\n",
}
MEMBERS = ["apps/*", "libs/*"]


@pytest.mark.parametrize(
    ("name", "dependency", "more"),
    [
        ("npm", "1.0.0", {"package.json": package("top", private=True, workspaces=MEMBERS)}),
        ("pnpm", "workspace:*", {
            "package.json": package("top", packageManager="pnpm@9.15.0"),
            "pnpm-workspace.yaml": "packages:\n  - apps/*\n  - libs/*\n",
        }),
        ("yarn", "1.0.0", {
            "package.json": package(
                "top", private=True, workspaces={"packages": MEMBERS}, packageManager="yarn@1.22.22"
            ),
        }),
        ("beside", "file:../../libs/greet", {}),
    ],
)  # fmt: skip
def test_node_packages_of_the_repository(
    new_app: NewApp, name: str, dependency: str, more: Mapping[str, str]
) -> None:
    wanted = {"greet": dependency, "ms": "2.1.3"}
    own = package("api", private=True, dependencies=wanted)
    app = new_app(name, {**NODE, "apps/api/package.json": own, **more}, push=False)
    app.server.commit(app.repository, {"ENV": f"{ENV}NGINX_SERVER_NAME={app.host}\n"})
    built(app, "node")
    assert app.body() == "one 1000"
    app.server.commit(
        app.repository, {"libs/greet/index.js": "module.exports = n => `two ${n}`;\n"}
    )
    built(app, "node")
    assert app.body() == "two 1000"


def test_a_node_app_of_its_own_beside_another(new_app: NewApp) -> None:
    files = {
        "package.json": package("site", dependencies={"no-such-package-here": "1"}),
        "package-lock.json": "{}",
        "apps/api/Procfile": "web: node server.js\n",
        "apps/api/package.json": package("api", dependencies={"ms": "2.1.3"}),
        "apps/api/server.js": NODE_SERVER.replace('require("greet")', "String"),
    }
    app = new_app("alone", files, push=False)
    app.server.commit(app.repository, {"ENV": f"{ENV}NGINX_SERVER_NAME={app.host}\n"})
    built(app, "node")
    assert app.body() == "1000"
    app.server.commit(app.repository, {"package.json": package("other")})
    assert app.deployed() == [UNCHANGED.format(1, "alone")]
    app.server.commit(app.repository, {"apps/api/readme": ""})
    reused(app, quick=False)


def project(name: str, dependencies: list[str], more: str = "") -> str:
    return (
        f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(dependencies)}\n{more}"
    )


BUILD = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
WSGI = """\
from importlib.metadata import version
from greet import word

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{word} {version('itsdangerous')}".encode()]
"""


def test_a_uv_workspace(uv: Path, new_app: NewApp) -> None:
    sources = "[tool.uv.sources]\ngreet = { workspace = true }\n"
    files = {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["apps/*", "libs/*"]\n',
        "apps/api/Procfile": "wsgi: app:app\n",
        "apps/api/app.py": WSGI,
        "apps/api/pyproject.toml": project("api", ["greet", "itsdangerous==2.2.0"], sources),
        "libs/greet/pyproject.toml": project("greet", [], BUILD),
        "libs/greet/greet.py": 'word = "one"\n',
    }
    app = new_app("uv-workspace", files, push=False)
    app.server.commit(app.repository, {"ENV": f"{ENV}NGINX_SERVER_NAME={app.host}\n"})
    built(app, "uv")
    assert app.body() == "one 2.2.0"
    app.server.commit(app.repository, {"libs/greet/greet.py": 'word = "two"\n'})
    built(app, "uv")
    assert app.body() == "two 2.2.0"


def test_requirements_beside_the_folder(new_app: NewApp) -> None:
    files = {
        "base.txt": "itsdangerous==2.2.0\n",
        "requirements.txt": "no-such-package-here\n",
        "apps/api/Procfile": "wsgi: app:app\n",
        "apps/api/app.py": WSGI,
        "apps/api/requirements.txt": "-r ../../base.txt\n./../../libs/greet\n",
        "libs/greet/pyproject.toml": project("greet", [], BUILD),
        "libs/greet/greet.py": 'word = "one"\n',
    }
    app = new_app("pip-beside", files, push=False)
    app.server.commit(app.repository, {"ENV": f"{ENV}NGINX_SERVER_NAME={app.host}\n"})
    built(app, "python")
    assert app.body() == "one 2.2.0"
    app.server.commit(app.repository, {"base.txt": "itsdangerous==2.1.2\n"})
    built(app, "python")
    assert app.body() == "one 2.1.2"


GO = """\
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/greet"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, greet.Word)
	})
	panic(http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil))
}
"""


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("go-work", {
            "go.work": "go 1.19\n\nuse ./apps/api\nuse ./libs/greet\n",
            "apps/api/go.mod": "module example.com/api\n\ngo 1.19\n",
            "libs/greet/go.mod": "module example.com/greet\n\ngo 1.19\n",
            "libs/greet/greet.go": 'package greet\n\nconst Word = "beside"\n',
        }),
        ("go-module", {
            "go.mod": "module example.com\n\ngo 1.19\n",
            "greet/greet.go": 'package greet\n\nconst Word = "beside"\n',
        }),
    ],
)  # fmt: skip
def test_go_packages_beside_the_folder(new_app: NewApp, name: str, more: Mapping[str, str]) -> None:
    files = {"apps/api/Procfile": "web: api\n", "apps/api/main.go": GO, **more}
    app = new_app(name, files, push=False)
    app.server.commit(app.repository, {"ENV": f"{ENV}NGINX_SERVER_NAME={app.host}\n"})
    said = app.deployed()
    assert any(re.match("-----> Go", line) for line in said), said
    assert app.body() == "beside"
