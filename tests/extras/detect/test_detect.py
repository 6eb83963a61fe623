"""Which lines fit a checkout: the examples, and what people start from."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.extras.detect import hooks
from piku.extras.detect.detect import detect
from piku.extras.detect.fit import Files, Fit
from piku.paths import AppPaths, Paths
from tests.e2e.support import CHECKOUT

EXAMPLES = {
    "python-wsgi", "python-uv", "python-poetry", "howto-flask", "howto-fastapi", "howto-django", "howto-express",
    "howto-rails", "node", "go", "php", "ruby", "rust", "static-site",
}  # fmt: skip
UVICORN = "--host $BIND_ADDRESS --port $PORT"
MANAGE = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
SITE = {
    "manage.py": MANAGE, "mysite/wsgi.py": "", "mysite/asgi.py": "",
    "mysite/settings.py": "WSGI_APPLICATION = 'mysite.wsgi.application'\n",
}  # fmt: skip
MIGRATE = "release: python manage.py migrate --noinput"
FLASKR = "def create_app(test_config=None):\n    app = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI(\n    title='T',\n)\n"


def of(files: Mapping[str, str], **settings: str) -> Fit:
    return detect(
        Files(names=list(files), read=lambda path: files.get(path, ""), settings=settings)
    )


def package(**fields: object) -> dict[str, str]:
    return {"package.json": json.dumps(fields)}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_fits_an_example_is_what_it_has(name: str) -> None:
    folder = CHECKOUT / "examples" / name
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    fit = of({
        path: file.read_text(errors="replace")
        for path, file in found.items()
        if path not in ("Procfile", "ENV")
    })  # fmt: skip
    has = procfile.parse((folder / "Procfile").read_text()).entries
    gets = procfile.parse("\n".join(fit.lines)).entries
    serving = next(kind for kind in ("wsgi", "rwsgi", "php", "web", "static") if kind in has)
    assert gets[serving].command == has[serving].command
    assert not fit.missing
    if name == "howto-rails":
        assert gets["release"].command == has["release"].command
        assert set((folder / "ENV").read_text().split()[1:]) <= set(fit.settings)


SURE: list[tuple[Mapping[str, str], str, tuple[str, ...]]] = [
    # Python
    ({"pyproject.toml": "[project]\ndependencies = ['flask']\n", "flaskr/__init__.py": FLASKR, "flaskr/db.py": "",
      "tests/conftest.py": "app = Flask(__name__)\n"}, "Python, Flask", ("wsgi: flaskr:create_app()",)),
    ({"requirements.txt": "flask\ngunicorn\n", "shop/__init__.py": "def create_app():\n    return 1\n"},
     "Python, Flask", ("web: gunicorn 'shop:create_app()' --bind $BIND_ADDRESS:$PORT",)),
    ({"requirements.txt": "Flask==3.1\n", "wsgi.py": "from shop import app as application\n", "shop/a/b/c.py": ""},
     "Python, Flask", ("wsgi: wsgi:application",)),
    ({"requirements.txt": "Flask\n-r requirements/prod.txt\n", "requirements/prod.txt": "gunicorn==23.0  # here\n",
      "hello.py": "app = Flask(__name__)\n"}, "Python, Flask", ("web: gunicorn hello:app --bind $BIND_ADDRESS:$PORT",)),
    ({"requirements.txt": "flask\n", "microblog.py": "from app import create_app\n\napp = create_app()\n",
      "app/__init__.py": "def create_app(config):\n"}, "Python, Flask", ("wsgi: microblog:app",)),
    ({"requirements.txt": "bottle\n", "server.py": "application = bottle.Bottle()\n"},
     "Python, Bottle", ("wsgi: server:application",)),
    ({"app.py": "def app(environ, start_response):\n"}, "Python, WSGI", ("wsgi: app:app",)),
    ({"requirements.txt": "fastapi[standard]\n", "main.py": FASTAPI}, "Python, FastAPI", (f"web: uvicorn main:app {UVICORN}",)),
    ({"requirements.txt": "fastapi\nuvicorn\n", "app/__init__.py": "", "app/main.py": FASTAPI.replace("app =", "api =")},
     "Python, FastAPI", (f"web: uvicorn app.main:api {UVICORN}",)),
    ({"pyproject.toml": "[project]\ndependencies = ['fastapi', 'hypercorn>=0.17']\n[build-system]\n", "src/shop/main.py": FASTAPI},
     "Python, FastAPI", ("web: hypercorn shop.main:app --bind $BIND_ADDRESS:$PORT",)),
    ({"requirements.txt": "fastapi\nuvicorn\n", "app/main.py": "def create_app() -> FastAPI:\n    return FastAPI()\n"},
     "Python, FastAPI", (f"web: uvicorn --factory app.main:create_app {UVICORN}",)),
    ({"requirements.txt": "Django>=5\n", **SITE}, "Python, Django", ("wsgi: mysite.wsgi:application", MIGRATE)),
    ({"requirements.txt": "Django\ngunicorn\nuvicorn\n", **SITE}, "Python, Django",
     ("web: gunicorn mysite.wsgi:application --bind $BIND_ADDRESS:$PORT", MIGRATE)),
    ({"requirements.txt": "Django\nchannels[daphne]\ndaphne\n", **SITE}, "Python, Django",
     ("web: daphne -b $BIND_ADDRESS -p $PORT mysite.asgi:application", MIGRATE)),
    ({"requirements.txt": "Django\n", **package(scripts={"start": "webpack --watch"}), **SITE}, "Python, Django",
     ("wsgi: mysite.wsgi:application", MIGRATE)),
    # Node.js
    ({**package(scripts={"start": "node ./bin/www"}, dependencies={"express": "~4.16.1"}), "app.js": "", "bin/www": ""},
     "Node.js", ("web: npm start",)),
    ({**package(scripts={"start": "next start", "build": "next build"}), "yarn.lock": ""}, "Node.js",
     ("web: yarn start", "release: yarn run build")),
    ({**package(scripts={"start": "node ."}, packageManager="pnpm@9.1.0"), "yarn.lock": ""}, "Node.js", ("web: pnpm start",)),
    ({**package(scripts={"dev": "vite", "build": "tsc -b && vite build", "preview": "vite preview"}),
      "index.html": "", "src/main.ts": ""}, "Node.js, a site that is built", ("static: dist",)),
    ({**package(scripts={"start": "react-scripts start", "build": "react-scripts build"}), "public/index.html": ""},
     "Node.js, a site that is built", ("static: build",)),
    ({**package(scripts={"start": "astro dev", "build": "astro build"})}, "Node.js, a site that is built", ("static: dist",)),
    (package(scripts={"build": "nuxt build", "dev": "nuxt dev"}), "Node.js",
     ("web: node .output/server/index.mjs", "release: npm run build")),
    ({**package(main="./src/app.js"), "src/app.js": "app.listen(process.env.PORT)"}, "Node.js", ("web: node src/app.js",)),
    # Ruby, Go, Rust, PHP
    ({"Gemfile": "gem 'sinatra'\n", "config.ru": "", "app.rb": ""}, "Ruby, Rack", ("rwsgi: config.ru",)),
    ({"Gemfile": "gem 'sinatra'\ngem 'puma'\n", "app.rb": "require 'sinatra'\n"}, "Ruby, Sinatra",
     ("web: bundle exec ruby app.rb -o $BIND_ADDRESS -p $PORT",)),
    ({"Gemfile": "gem 'rails'\n# gem 'puma'\n", "config/application.rb": "", "config.ru": ""},
     "Ruby on Rails", ("rwsgi: config.ru",)),
    ({"Gemfile": 'gem "rails"\ngem "puma", ">= 5"\n', "config/application.rb": "", "config.ru": "",
      "config/database.yml": "", "app/assets/images/.keep": "", **package(scripts={"build": "esbuild"})},
     "Ruby on Rails", ("web: bundle exec puma --bind tcp://$BIND_ADDRESS:$PORT",
                       "release: bundle exec rake db:migrate assets:precompile")),
    ({"go.mod": "module example.com/tools/v2\n", "main.go": "package main"}, "Go", ("web: bin/tools",)),
    ({"go.mod": "module example.com/x\n", "x.go": "package x", "cmd/serve/main.go": "package main"}, "Go", ("web: bin/serve",)),
    ({"Cargo.toml": '[package]\nname = "hello"\n', "src/main.rs": ""}, "Rust", ("web: target/debug/hello",)),
    ({"Cargo.toml": '[[bin]]\nname = "serve"\npath = "a.rs"\n[package]\nname = "hello"\n'}, "Rust", ("web: target/debug/serve",)),
    ({"index.php": "<?php"}, "PHP", ("php: .",)),
    ({"public/index.php": "", "composer.json": '{"require": {"php": "^8", "laravel/framework": "^11"}}',
      **package(scripts={"build": "vite build"})}, "PHP", ("php: public", "release: composer install --no-dev --no-interaction")),
    # Sites
    ({"index.html": "", "README.md": "", "_sidebar.md": ""}, "Static site", ("static: .",)),
    ({"index.html": "", **package(scripts={"start": "docsify serve ."})}, "Static site", ("static: .",)),
    ({"dist/index.html": "", "README.md": ""}, "Static site", ("static: dist",)),
    ({"Gemfile": "gem 'jekyll'\n", "_config.yml": "", "index.html": ""}, "Jekyll", ("static: _site",)),
    ({"requirements.txt": "mkdocs-material\n", "mkdocs.yml": "", "docs/index.md": ""}, "MkDocs", ("static: site",)),
    ({"hugo.toml": "", "content/_index.md": "", **package(scripts={"build": "postcss"})}, "Hugo", ("static: public",)),
    ({"config.toml": 'base_url = "https://example.com"\n', "content/_index.md": ""}, "Zola", ("static: public",)),
]  # fmt: skip


@pytest.mark.parametrize(("files", "title", "lines"), SURE)
def test_what_is_recognised(files: Mapping[str, str], title: str, lines: tuple[str, ...]) -> None:
    found = of(files)
    assert (found.title, found.lines, found.missing) == (title, lines, "")
    procfile.parse("\n".join(lines))


def test_the_settings_say_which_package_manager_counts() -> None:
    files = {**package(scripts={"start": "node ."}), "package-lock.json": ""}
    assert of(files).lines == ("web: npm start",)
    assert of(files, NODE_PACKAGE_MANAGER="pnpm@9 --prod").lines == ("web: pnpm start",)


@pytest.mark.parametrize(
    ("files", "missing", "line"),
    [
        ({"requirements.txt": "fastapi\n", "main.py": FASTAPI},
         "requirements.txt has no server for FastAPI: add uvicorn", f"web: uvicorn main:app {UVICORN}"),
        ({"app.py": "app = Flask(__name__)\n"}, "no requirements.txt either: add one that names Flask", "wsgi: app:app"),
        ({"Pipfile": "", "app.py": "app = Flask(__name__)\n"}, "pipenv requirements > requirements.txt", "wsgi: app:app"),
        (SITE, "no requirements.txt either: add one that names Django", "wsgi: mysite.wsgi:application"),
        ({**package(main="index.js"), "index.js": "console.log(1)"}, "index.js may be no server", "web: node index.js"),
        (package(scripts={"build": "make all"}), "does not say where `build` puts the site", "static: dist"),
        (package(scripts={"build": "vite build"}, devDependencies={"@sveltejs/kit": "2", "@sveltejs/adapter-auto": "6"}),
         "it needs @sveltejs/adapter-node", "web: node build"),
        ({"config.ru": "run App"}, "no Gemfile either", "rwsgi: config.ru"),
        ({"main.go": "package main"}, "no go.mod either: go mod init", "web: bin/app"),
        ({"go.mod": "module x\n", "cmd/a/main.go": "", "cmd/b/main.go": ""}, "cmd has more programs than a", "web: bin/a"),
    ],
)  # fmt: skip
def test_what_lacks_something_is_only_proposed(
    files: Mapping[str, str], missing: str, line: str
) -> None:
    found = of(files)
    assert missing in found.missing and line in found.lines


@pytest.mark.parametrize(
    ("files", "message", "line"),
    [
        ({"README.md": "", "src/thing.hs": ""}, "nothing here says what starts this app", "web: COMMAND"),
        ({"requirements.txt": "discord.py\n", "main.py": "bot.run()", "docs/index.html": ""},
         "main.py may answer requests (web) or not (worker)", "web: python3 main.py"),
        ({"pom.xml": "<project/>", "docs/index.html": ""}, "pom.xml does not say", "-jar target/NAME.jar"),
        ({"Cargo.toml": '[package]\nname = "lib"\n', "src/lib.rs": "", "docs/index.html": ""}, "nothing here says", "web: COMMAND"),
        ({"Dockerfile": 'FROM python\nCMD ["gunicorn", "-b", "0.0.0.0:80", "a b"]\n'}, "the Dockerfile, which is not used",
         "web: gunicorn -b 0.0.0.0:80 'a b'"),
        ({"requirements.txt": "django", "shop/manage.py": MANAGE}, "manage.py is in shop",
         "web: gunicorn --chdir shop mysite.wsgi --bind $BIND_ADDRESS:$PORT"),
    ],
)  # fmt: skip
def test_what_nobody_can_tell_is_refused_with_a_line(
    files: Mapping[str, str], message: str, line: str
) -> None:
    with pytest.raises(PikuError) as refused:
        of(files)
    assert message in refused.value.message
    assert line in refused.value.hint


@pytest.mark.parametrize("assets", [True, False])
def test_nginx_serves_only_assets_that_a_release_makes(assets: bool) -> None:
    files = {"Gemfile": "gem 'rails'", "config/application.rb": "", "config.ru": ""}
    fit = of(files | ({"app/assets/config/manifest.js": ""} if assets else {}))
    assert any("assets:precompile" in line for line in fit.lines) == assets
    assert ("NGINX_STATIC_PATHS=/assets:public/assets" in fit.settings) == assets


def test_a_push_is_given_settings_only_where_nothing_is_written_down(
    paths: Paths, shop: AppPaths
) -> None:
    files = {"Gemfile": "gem 'rails'", "config/application.rb": "", "config.ru": ""}
    tree = Tree(files=files, read=lambda path: files.get(path, ""))
    wanted = {"RAILS_ENV": "production", "RAILS_LOG_TO_STDOUT": "1"}
    assert hooks.initial(shop, tree, {}) == wanted
    written = Tree(files={**files, "Procfile": ""}, read=tree.read)
    assert hooks.initial(shop, written, {}) == {}


def test_a_procfile_elsewhere_counts_against_pages_alone(shop: AppPaths) -> None:
    for more, text in (
        ({"index.html": ""}, ""),
        ({"README.md": ""}, ""),
        ({"index.php": ""}, "php: ."),
    ):
        files = {"backend/Procfile": "web: x", **more}
        tree = Tree(files=files, read=lambda path, files=files: files.get(path, ""))
        assert hooks.procfile(shop, tree, {}) == text
    outside = Tree(files={"../Procfile": "", "index.html": ""}, read=str, folder="site")
    assert hooks.procfile(shop, outside, {}) == "static: ."
