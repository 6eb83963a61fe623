"""Django's static files: whether a push collects them. tests/runtimes has a whole Django app; here its manage.py is a
stand-in, which needs no package."""

from collections.abc import Callable, Mapping

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.extras.django import collectstatic
from tests.e2e.support import App, wsgi

MANAGE = """
import os, pathlib, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
assert sys.argv[1:] == ["collectstatic", "--noinput"], sys.argv
if "SECRET" not in os.environ:
    sys.exit("ImproperlyConfigured: SECRET is not set")
place = pathlib.Path("staticfiles")
place.mkdir(exist_ok=True)
place.joinpath("shop.css").write_text(os.environ["PIKU_RELEASE"])
print("1 static file copied")
"""
SETTINGS = """
INSTALLED_APPS = ["django.contrib.staticfiles", "shop"]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
"""


def tree(**changed: str) -> Tree:
    files = {"manage.py": MANAGE, "shop/settings.py": SETTINGS}
    files |= {name.replace("__", "/").replace("_py", ".py"): text for name, text in changed.items()}
    return Tree(files=dict.fromkeys(files, ""), read=lambda path: files.get(path, ""))


@pytest.mark.parametrize(
    ("files", "commands", "needed"),
    [
        ({}, "wsgi: shop.wsgi", True),
        ({"shop__settings_py": "", "config__settings__production_py": SETTINGS}, "wsgi: a", True),
        ({"shop__settings_py": "STATIC_ROOT: Path = BASE\n# django.contrib.staticfiles"}, "wsgi: a", True),
        ({"shop__settings_py": SETTINGS.replace("STATIC_ROOT", "# STATIC_ROOT")}, "wsgi: a", False),
        ({"shop__settings_py": SETTINGS.replace("staticfiles", "x")}, "wsgi: a", False),
        ({"manage_py": "print('of no Django')"}, "wsgi: a", False),
        ({}, "wsgi: a\nrelease: python manage.py collectstatic --noinput && true", False),
        ({"release": "set -e\npython manage.py collectstatic\n"}, "wsgi: a\nrelease: sh ./release x", False),
        ({"release": "set -e\npython manage.py migrate\n"}, "wsgi: a\nrelease: sh ./release x", True),
    ],
)  # fmt: skip
def test_whether_there_is_something_to_collect(
    files: Mapping[str, str], commands: str, needed: bool
) -> None:
    found = collectstatic.needs_collecting(tree(**files), procfile.parse(commands))
    assert found is needed


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SETTINGS, "/static:staticfiles"),
        ("STATIC_URL = '/assets/v1/'\nSTATIC_ROOT = os.path.join(BASE, 'var', 'static')", "/assets/v1:var/static"),
        ("STATIC_ROOT = '/srv/static'", "/static:/srv/static"),
        ("STATIC_ROOT = ROOT", "/static:staticfiles"),
        (SETTINGS + "MIDDLEWARE = ['whitenoise.middleware.WhiteNoiseMiddleware']", ""),
        (SETTINGS + "STORAGES = {'staticfiles': 'storages.backends.s3.S3Storage'}", ""),
    ],
)  # fmt: skip
def test_the_setting_that_serves_them(settings: str, line: str) -> None:
    expected = f"NGINX_STATIC_PATHS={line}" if line else ""
    assert collectstatic.serving_line(tree(shop__settings_py=settings)) == expected


def test_a_push_collects_them_and_says_what_a_failure_needs(new_app: Callable[..., App]) -> None:
    files = {"requirements.txt": "# none", "manage.py": MANAGE, "shop/settings.py": SETTINGS}
    app = new_app("shop", {**wsgi("shop"), **files, "Procfile": "wsgi: app:app\n"}, push=False)
    said = app.failed()
    run = "python manage.py collectstatic --noinput"
    assert f"-----> Static files: {run}" in said
    assert "       ImproperlyConfigured: SECRET is not set" in said
    assert f" !     v1 failed at building its environment: `{run}` failed with exit code 1" in said
    assert " !     to go without: piku config:set shop DISABLE_COLLECTSTATIC=1" in said

    app.does("config:set", "DISABLE_COLLECTSTATIC=1")
    said = app.deployed()
    assert "-----> Static files are not collected: DISABLE_COLLECTSTATIC is set" in said
    app.does("config:unset", "DISABLE_COLLECTSTATIC")

    app.does("config:set", "SECRET=1")
    app.commit(version_txt="two")
    said = app.deployed()
    serving = "NGINX_STATIC_PATHS=/static:staticfiles"
    assert f" !     Nothing serves the static files yet; let nginx do it: {serving}" in said
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\n{serving}\n")
    said = app.deployed()
    assert not any("Nothing serves" in line for line in said)
    assert app.body("/static/shop.css") == str(app.live())
