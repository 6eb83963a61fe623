"""/piku/start, run by a real shell, and the ini of what uWSGI serves."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from piku.app import procfile, tree
from piku.deploy.revision import Revision
from piku.extras.image import start
from piku.runtimes import PLAIN
from piku.runtimes.base import Context

SHOW = "python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
PROCFILE = f"""\
web: {SHOW}
wsgi-like: echo "$PORT and 'quotes'"; exit 7
cron-tick: * * * * * echo tick
release: echo migrated
static: public
"""


def revision(folder: Path, text: str = PROCFILE, **values: str) -> Revision:
    context = Context(
        tree=tree.EMPTY, settings=values, checkout=folder, environment=folder, cache=folder
    )
    return Revision(procfile=procfile.parse(text), runtime=PLAIN, environment="", context=context)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    found = revision(tmp_path)
    fixed, defaults = {"APP": "shop", "HOME": "/a 'home'"}, {"LANG": "C.UTF-8", "MODE": "fast"}
    place = tmp_path / "start"
    place.write_text(start.script(found, fixed, defaults))
    return place


def run(script: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": "/usr/bin:/bin", "PIKU_SETTINGS_FILE": str(script.with_name("settings")), **env}
    return subprocess.run(
        ["/bin/sh", str(script), *words],
        env=own,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_has_its_variables(script: Path) -> None:
    found = json.loads(
        run(script, "web", APP="other", PORT="5000", BIND_ADDRESS="127.0.0.1").stdout
    )
    assert (found["APP"], found["HOME"]) == ("shop", "/a 'home'")
    assert (found["PORT"], found["BIND_ADDRESS"]) == ("5000", "0.0.0.0")  # noqa: S104
    assert (found["LANG"], found["MODE"]) == ("C.UTF-8", "fast")
    assert found["PWD"] == str(script.parent)


def test_settings_come_from_the_environment_or_from_a_file_which_wins(script: Path) -> None:
    values = {"SECRET": 'it\'s $HOME\n\\ "x"', "MODE": "slow", "PORT": "7000", "APP": "other"}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    script.with_name("settings").write_text("".join(lines))
    found = json.loads(run(script, "web", SECRET="older", OTHER="kept").stdout)
    assert (found["SECRET"], found["OTHER"]) == (values["SECRET"], "kept")
    assert (found["MODE"], found["APP"]) == ("slow", "shop")
    # The engine gives out ports; a fixed one of the settings is for where it gives none.
    assert found["PORT"] == "7000"
    assert json.loads(run(script, "web", PORT="5000").stdout)["PORT"] == "5000"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("wsgi-like",), 7, "8000 and 'quotes'\n"),
        (("cron-tick",), 0, "tick\n"),
        (("release",), 0, "migrated\n"),
        (("--", "printf", "%s-", "a b", "c"), 0, "a b-c-"),
        (("static",), 2, "there are: web wsgi-like cron-tick release"),
        ((), 2, "no process type ''"),
    ],
)
def test_what_it_runs(script: Path, words: tuple[str, ...], code: int, said: str) -> None:
    result = run(script, *words)
    assert result.returncode == code
    assert said in result.stdout + result.stderr


def test_the_ini_answers_http_on_the_port_of_the_container(tmp_path: Path) -> None:
    found = revision(tmp_path, "wsgi: app:app\n", UWSGI_PROCESSES="3", UWSGI_INCLUDE_FILE="own.ini")
    lines = start.served(found, "wsgi", (("module", "app:app"),), 4).splitlines()
    assert "http-socket = 0.0.0.0:$(PORT)" in lines
    assert "processes = 3" in lines
    assert f"include = {tmp_path}/own.ini" in lines
    assert not [line for line in lines if line.startswith(("logto", "log-m", "envdir"))]
