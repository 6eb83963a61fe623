"""Sentences for pushes that cannot do what they are meant to."""

from collections.abc import Callable

import pytest
from sandbox import Sandbox

from piku.cli.main import execute
from piku.extras.hints import hints
from tests.e2e.support import App, wsgi


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("heroku-php-apache2", "."),
        ("vendor/bin/heroku-php-apache2 public/", "public"),
        ("exec ./vendor/bin/heroku-php-nginx ./web", "web"),
        ("vendor/bin/heroku-php-nginx -C nginx_app.conf web/public/", "web/public"),
        ("vendor/bin/heroku-php-apache2 -F fpm.conf -v -i php.ini public", "public"),
        ("heroku-php-apache2 .", "."),
        ("vendor/bin/heroku-hhvm-nginx public # old", "public"),
        ("python3 server.py", None),
        ("not-heroku-php-apache2 x", None),
    ],
)
def test_the_folder_of_a_program_of_heroku(command: str, folder: str | None) -> None:
    assert hints.php_folder(command) == folder


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("# nothing\n\n", []),
        ("a; python_version < '3'\n  b==1 ; sys_platform == 'win32'  # old\n", 2),
        ("a; python_version < '3'\nb\n", []),
        ("-r base.txt\n", []),
    ],
)
def test_lines_that_all_have_markers(text: str, lines: object) -> None:
    found = hints.lines_with_markers(text)
    assert (len(found) or []) == lines


def test_both_are_said_in_the_push(new_app: Callable[..., App]) -> None:
    requirements = "enum34==1.1.10; python_version < '3.4'\n"
    app = new_app("hinted", {**wsgi("hinted"), "requirements.txt": requirements})
    said = app.says("logs", "build").stdout
    assert (
        " !     Nothing was installed: each line of requirements.txt is for another Python or system, such as"
        " \"enum34==1.1.10; python_version < '3.4'\""
    ) in said
    app.commit(Procfile="web: vendor/bin/heroku-php-apache2 public/\n")
    said = "\n".join(app.failed())
    assert "the Procfile's web line starts a web server that only Heroku has" in said
    assert " !     here uWSGI runs PHP; replace the line by: php: public\n" in said


def test_commands_of_other_systems(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["create", "shop"]) == 2
    assert "the first push makes an app" in capsys.readouterr().err


def test_an_app_before_its_first_push(server: Sandbox) -> None:
    made = server.piku("apps:create", "planned")
    assert (
        made.returncode == 0 and f"git remote add piku {server.user}@SERVER:planned" in made.stdout
    )
    assert "  planned" in server.piku("apps").stdout.splitlines()
    assert "already" in server.piku("apps:create", "planned").stderr
    assert server.piku("destroy", "planned", "--force").returncode == 0
    assert "planned" not in server.piku("apps").stdout
