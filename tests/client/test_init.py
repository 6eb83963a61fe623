"""`piku init`: a checkout becomes one that can be pushed."""

from pathlib import Path

import pytest

from piku.app import procfile
from piku.client.detect import Files, detect
from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import CHECKOUT, WSGI, refused

EXAMPLES = {
    "python-wsgi", "python-uv", "python-poetry", "howto-flask", "howto-fastapi", "howto-django", "howto-express",
    "howto-rails", "node", "go", "php", "ruby", "rust", "static-site",
}  # fmt: skip


def tree(files: dict[str, str]) -> Files:
    return Files(names=list(files), read=lambda path: files.get(path, ""))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_fits_an_example_is_what_it_has(name: str) -> None:
    folder = CHECKOUT / "examples" / name
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    files = {
        path: file.read_text(errors="replace")
        for path, file in found.items()
        if path not in ("Procfile", "ENV")
    }
    fit = detect(tree(files))
    has = procfile.parse((folder / "Procfile").read_text()).entries
    gets = procfile.parse("\n".join(fit.lines)).entries
    serving = next(kind for kind in ("wsgi", "rwsgi", "php", "web", "static") if kind in has)
    assert gets[serving].command == has[serving].command
    if name == "howto-rails":
        assert gets["release"].command == has["release"].command
        assert set((folder / "ENV").read_text().split()[1:]) <= set(fit.settings)


@pytest.mark.parametrize(
    ("files", "title", "lines"),
    [
        ({"requirements.txt": "flask", "shop/__init__.py": "def create_app():\n    return 1\n"},
         "Python, WSGI", ("wsgi: shop:create_app()",)),
        ({"requirements.txt": "flask", "wsgi.py": "from shop import app as application\napp = Flask(__name__)\n"},
         "Python, Flask", ("wsgi: wsgi:app",)),
        ({"requirements.txt": "fastapi", "app/main.py": "from fastapi import FastAPI\n\napi = FastAPI()\n"},
         "Python, FastAPI", ("web: uvicorn app.main:api --host $BIND_ADDRESS --port $PORT",)),
        ({"package.json": '{"scripts": {"start": "next start"}}'}, "Node.js", ("web: npm start",)),
        ({"package.json": '{"main": "./src/app.js"}', "src/app.js": ""}, "Node.js", ("web: node src/app.js",)),
        ({"Gemfile": "gem 'rails'\n# gem 'puma'\n", "config/application.rb": "", "config.ru": ""},
         "Ruby on Rails", ("rwsgi: config.ru",)),
        ({"Gemfile": 'gem "rails"\ngem "puma", ">= 5"\n', "config/application.rb": "", "config.ru": "",
          "config/database.yml": "", "app/assets/images/.keep": ""},
         "Ruby on Rails", ("web: bundle exec puma --bind tcp://$BIND_ADDRESS:$PORT",
                           "release: bundle exec rake db:migrate assets:precompile")),
        ({"go.mod": "module example.com/tools/v2\n", "main.go": "package main"}, "Go", ("web: bin/tools",)),
        ({"go.mod": "module example.com/x\n", "cmd/serve/main.go": "package main"}, "Go", ("web: bin/serve",)),
        ({"index.php": "<?php"}, "PHP", ("php: .",)),
        ({"index.html": ""}, "Static site", ("static: .",)),
        ({"dist/index.html": "", "README.md": ""}, "Static site", ("static: dist",)),
    ],
)  # fmt: skip
def test_what_is_recognised(files: dict[str, str], title: str, lines: tuple[str, ...]) -> None:
    found = detect(tree(files))
    assert (found.title, found.lines) == (title, lines)
    procfile.parse("\n".join(lines))


@pytest.mark.parametrize("assets", [True, False])
def test_nginx_serves_only_assets_that_a_release_makes(assets: bool) -> None:
    files = {"Gemfile": "gem 'rails'", "config/application.rb": "", "config.ru": ""}
    fit = detect(tree(files | ({"app/assets/config/manifest.js": ""} if assets else {})))
    assert any("assets:precompile" in line for line in fit.lines) == assets
    assert ("NGINX_STATIC_PATHS=/assets:public/assets" in fit.settings) == assets


def test_a_checkout_becomes_an_app(laptop: Laptop, tmp_path: Path) -> None:
    folder = laptop.checkout("My First App", files={"app.py": WSGI, ".gitignore": "*.log\n"})
    refused_before = laptop.piku(folder, "init", ALIAS, "--name", "first.localhost")
    assert refused_before.returncode == 2 and "--yes" in refused_before.stderr
    # What it would do was shown, and nothing was done.
    for words in (
        "wsgi: app:app",
        "NGINX_SERVER_NAME=first.localhost",
        f"git remote add piku {ALIAS}:my-first-app",
    ):
        assert words in refused_before.stdout
    assert sorted(path.name for path in folder.iterdir()) == [".git", ".gitignore", "app.py"]
    said = laptop.says(folder, "init", ALIAS, "--name", "first.localhost", "--yes")
    assert (folder / "Procfile").read_text() == "wsgi: app:app\n"
    assert laptop.git(folder, "remote", "get-url", "piku") == f"{ALIAS}:my-first-app\n"
    # What it says to do next works.
    assert "git add Procfile ENV" in said and "git push piku main" in said
    laptop.git(folder, "add", "-A")
    laptop.git(folder, "commit", "--quiet", "-m", "For piku")
    laptop.git(folder, "push", "--quiet", "piku", "main")
    assert laptop.server.get("first.localhost", "/about")[0] == 200
    assert "Nothing to do" in laptop.says(folder, "init")
    opened = laptop.piku(folder, "open", "about", env={"BROWSER": "echo opened %s"})
    assert opened.stdout.startswith(f"http://first.localhost:{laptop.server.http_port}/about\n")


def test_what_is_there_stays(laptop: Laptop, tmp_path: Path) -> None:
    files = {"Procfile": "web: ./serve\n", "ENV": "A=1\n", "serve": ""}
    folder = laptop.checkout(str(tmp_path / "there"), f"{ALIAS}:there", files)
    said = laptop.says(folder, "init", "other@example.com:there")
    assert "Nothing to do" in said and "stays as it is" in said
    assert {name: (folder / name).read_text() for name in files} == files
    assert laptop.git(folder, "remote", "get-url", "piku") == f"{ALIAS}:there\n"
    (folder / "ENV").unlink()
    (folder / "below").mkdir()
    laptop.says(folder / "below", "init", "--yes")
    assert (folder / "ENV").read_text() == "# NGINX_SERVER_NAME=www.example.com\n"


def test_the_remote_with_a_port(laptop: Laptop, tmp_path: Path) -> None:
    folder = laptop.checkout(str(tmp_path / "port"), files={"index.html": "hello"})
    laptop.says(folder, "init", "ssh://me@example.com:2222/site", "-y")
    assert laptop.git(folder, "remote", "get-url", "piku") == "ssh://me@example.com:2222/site\n"


def test_what_cannot_be_prepared(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    refused(laptop.piku(tmp_path / "none", "init"), 2, "no git repository", "git init")
    folder = laptop.checkout(str(tmp_path / "empty"))
    assert laptop.piku(folder, "init").returncode == 1
