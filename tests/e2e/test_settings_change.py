"""A change of settings runs nothing where the live release serves."""

from collections.abc import Callable

from tests.e2e.support import App, web

STATIC = {
    "Procfile": 'static: public\nrelease: rm -rf public && test -z "$BREAK" && cp -r source public\n',
    "source/index.html": "hello",
    "public/index.html": "old",
    "ENV": "NGINX_SERVER_NAME=frozen.localhost\n",
}


def test_the_release_command_is_not_run_in_the_live_checkout(new_app: Callable[..., App]) -> None:
    app = new_app("frozen", STATIC)
    assert app.body() == "hello"
    app.does("config:set", "BREAK=yes")
    assert app.body() == "hello"
    app.commit(message="Nothing new")
    said = app.failed()  # a release of its own runs the command, in a checkout of its own
    assert any("the release command failed" in line for line in said)
    assert app.body() == "hello"
    app.does("config:unset", "BREAK")
    app.deployed()
    assert app.body() == "hello"


def test_settings_that_change_the_environment_build_it_beside(new_app: Callable[..., App]) -> None:
    files = {**web("keyed"), "requirements.txt": "# none\n"}
    app = new_app("keyed", files)
    before = app.releases()[0]
    said = app.does("config:set", "PIP_NO_INDEX=1")
    after = app.releases()[0]
    assert "building python-" in said
    assert after["commit"] == before["commit"]
    app.does("rollback")
    assert app.body() == "one"
