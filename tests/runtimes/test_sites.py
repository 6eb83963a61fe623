"""Static sites that a push makes: by the build script of package.json, and by real generators."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.e2e.support import App

NewApp = Callable[..., App]
Example = Callable[[str], Path]

PAGE = "# Hello from a generator\n"


def again(app: App, **files: str | None) -> list[str]:
    """A second push: what the first one made beside the code does not stand in its way."""
    app.commit("Another", **files)
    return app.deployed()


def test_hugo(new_app: NewApp, example: Example) -> None:
    app = new_app("hugo", example("site-hugo"), push=False)
    said = app.deployed()
    assert "-----> Hugo: hugo --destination public" in said
    assert app.ps() == {}
    assert "<h1>Hello from Hugo</h1>" in app.body()
    page = (app.repository / "content" / "_index.md").read_text()
    app.server.commit(app.repository, {"content/_index.md": page.replace("Hello", "Goodbye")})
    app.deployed()
    assert "<h1>Goodbye from Hugo</h1>" in app.body()
    # A page that cannot be made keeps the release from going live.
    app.server.commit(app.repository, {"content/_index.md": "{{< nothing >}}\n"})
    said = app.failed()
    assert any("`hugo --destination public` failed with exit code" in line for line in said), said
    assert "<h1>Goodbye from Hugo</h1>" in app.body()


def test_mkdocs(new_app: NewApp) -> None:
    """Where the Python environment has the generator, and the folder another name than its own."""
    files = {
        "requirements.txt": "mkdocs<2\n", "Procfile": "static: html\n", "mkdocs.yml": "site_name: Pages\n",
        "docs/index.md": PAGE,
    }  # fmt: skip
    app = new_app("mkdocs", files)
    assert "Hello from a generator</h1>" in app.body()
    assert "-----> MkDocs: mkdocs build --site-dir html" in again(app)


def test_jekyll(new_app: NewApp) -> None:
    files = {
        "Procfile": "static: _site\n", "_config.yml": "title: Pages\n",
        "index.md": f"---\n---\n{PAGE}\n{{{{ jekyll.environment }}}}\n",
    }  # fmt: skip
    app = new_app("jekyll", files)
    assert "Hello from a generator</h1>" in app.body()
    assert "production" in app.body()
    # Without a Procfile as well, the configuration says what is served.
    assert "-----> Jekyll: jekyll build --destination _site" in again(app, Procfile=None)


def test_eleventy(new_app: NewApp) -> None:
    package = {"private": True, "devDependencies": {"@11ty/eleventy": "3.1.8"}}
    files = {
        "Procfile": "static: _site\n", "eleventy.config.js": "module.exports = {};\n",
        "package.json": json.dumps(package), "index.md": PAGE,
    }  # fmt: skip
    app = new_app("eleventy", files)
    assert "Hello from a generator</h1>" in app.body()
    again(app)


def test_a_generator_that_is_not_here_is_named(new_app: NewApp) -> None:
    """Zola is in no registry here."""
    files = {"Procfile": "static: public\n", "config.toml": 'base_url = "/"\n'}
    app = new_app("zola", files, push=False)
    said = app.failed()
    assert any("made by Zola, and there is no program 'zola'" in line for line in said), said
    assert any("https://www.getzola.org/" in line for line in said), said


BUILD = "mkdir -p dist && vite --version > dist/index.html"


def test_a_build_script(new_app: NewApp) -> None:
    """With what only builds need, in production as well; by the app's package manager."""

    def package(build: str) -> str:
        own = {"scripts": {"build": build}, "devDependencies": {"vite": "8.3.4"}}
        return json.dumps({"private": True, **own})

    app = new_app(
        "build", {"Procfile": "static: dist\n", "package.json": package(BUILD)}, push=False
    )
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\nNODE_ENV=production\n")
    assert "-----> Build: npm run build" in app.deployed()
    assert "vite/8.3.4" in app.body()
    app.commit(
        ENV=f"NGINX_SERVER_NAME={app.host}\nNODE_ENV=production\nNODE_PACKAGE_MANAGER=pnpm@9\n"
    )
    assert "-----> Build: pnpm run build" in app.deployed()
    assert "vite/8.3.4" in app.body()

    # A folder of another name: the push says what there is.
    app.commit(package_json=package(BUILD.replace("dist", "out")))
    said = app.failed()
    assert any("`pnpm run build` made no folder 'dist'" in line for line in said), said
    assert any("it made out; write into the Procfile: static: out" in line for line in said)
    # A release command is the app's own way.
    app.commit(Procfile=f"static: dist\nrelease: {BUILD}\n", package_json=package("exit 1"))
    said = app.deployed()
    assert not any(line.startswith("-----> Build") for line in said), said
    app.commit(Procfile="static: dist\nrelease: true\n")
    assert any("'release: npm run build'" in line for line in app.failed())


def test_build_tasks_of_bun_and_deno(new_app: NewApp, example: Example) -> None:
    make = "mkdir -p dist && echo made > dist/index.html"
    app = new_app("bunsite", example("bun"), push=False)
    package = json.loads((app.repository / "package.json").read_text())
    app.commit(
        Procfile="static: dist\n", package_json=json.dumps({**package, "scripts": {"build": make}})
    )
    assert "-----> Build: bun run build" in app.deployed()
    assert app.body() == "made\n"
    app = new_app("denosite", {
        "Procfile": "static: dist\n", "deno.json": json.dumps({"tasks": {"build": make}}),
    })  # fmt: skip
    assert app.body() == "made\n"
