"""Limits per app where piku has no cgroup of its own; tests/limits has what is to be seen with one."""

import http.client

import pytest

from tests.e2e.conftest import NewApp
from tests.e2e.support import APPS, App

HUNGRY = (APPS / "hungry.py").read_text()
COMMANDS = {"wsgi": "hungry:app", "web": "exec python3 -IS hungry.py"}


@pytest.fixture(scope="module")
def hungry(new_app: NewApp) -> NewApp:
    def make(name: str, kind: str, env: str = "") -> App:
        files = {"Procfile": f"{kind}: {COMMANDS[kind]}\n", "hungry.py": HUNGRY}
        return new_app(
            name, {**files, "ENV": f"NGINX_SERVER_NAME={name}.localhost\n{env}"}, push=False
        )

    return make


def eat(app: App, megabytes: int) -> bool:
    """Have the app take so much memory; returns whether it could."""
    try:
        return app.status(f"/eat/{megabytes}") == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_memory_is_limited_for_each_process_and_the_push_says_so(hungry: NewApp, kind: str) -> None:
    app = hungry(f"each-{kind}", kind, "PIKU_MEMORY_LIMIT=160M\n")
    said = app.deployed()
    [warning] = [line for line in said if "PIKU_MEMORY_LIMIT" in line]
    assert warning.startswith(
        " !     PIKU_MEMORY_LIMIT=160M limits each process separately here, not the app"
    )
    assert "cgroup" in warning
    assert eat(app, 20)
    assert not eat(app, 300)
    app.server.wait(lambda: eat(app, 20))
    assert app.body() == "one"
    assert "Limits: memory 160 MB for each process" in app.does("ps")


def test_without_a_limit_an_app_may_take_what_there_is(hungry: NewApp) -> None:
    app = hungry("free", "wsgi")
    assert not [line for line in app.deployed() if "LIMIT" in line]
    assert eat(app, 300)
    assert "Limits" not in app.does("ps")


@pytest.mark.parametrize("setting", ["PIKU_CPU_LIMIT=0.5", "PIKU_NPROC_LIMIT=50"])
def test_what_cannot_be_kept_is_refused_with_the_reason(hungry: NewApp, setting: str) -> None:
    name = setting.partition("=")[0]
    app = hungry(name.split("_")[1].lower() + "-refused", "web")
    app.deployed()
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\n{setting}\n")
    said = "\n".join(app.failed())
    assert f"{setting} cannot be kept here: " in said
    assert "cgroup" in said and "Delegate=yes" in said
    assert app.live() == 1 and app.body() == "one"
    asked = app.says("config:set", setting)
    assert asked.returncode == 1 and f"{setting} cannot be kept here: " in asked.stderr
    assert app.live() == 1 and app.body() == "one"
