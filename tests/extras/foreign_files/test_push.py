"""A push of a repository that other systems run: what is used of their files, and what is said."""

import json

from tests.e2e.conftest import NewApp
from tests.e2e.support import WEB, App, web


def warned(said: list[str]) -> list[str]:
    return [line.removeprefix(" !     ") for line in said if line.startswith(" !     ")]


def settings(app: App) -> dict[str, str]:
    pairs = (line.partition("=") for line in app.does("config").splitlines())
    return {name: value for name, _, value in pairs}


def test_files_of_other_systems(new_app: NewApp) -> None:
    about = {
        "name": "Moved", "addons": ["heroku-postgresql"], "buildpacks": [{"url": "heroku/python"}],
        "env": {"SECRET_KEY_BASE": {"generator": "secret"}, "GREETING": "hello", "API_KEY": {"required": True}},
        "scripts": {"postdeploy": "echo seeded >> $DATA_ROOT/seeds", "test": "x"},
    }  # fmt: skip
    files = {
        **web("moved"), "app.json": json.dumps(about), "Dockerfile": "FROM debian\nCMD x\n", "fly.toml": "",
        ".env": "PASSWORD=secret\n", ".env.example": "export API_KEY=\nGREETING=\n# NO=\nCOLOUR=blue\n",
        "Aptfile": "# tools\ngit\nno-such-package-here\n:repo:deb http://example.com x\n",
    }  # fmt: skip
    app = new_app("moved", files, push=False)
    said = app.failed()
    assert any(
        "app.json requires settings that moved does not have: API_KEY" in line for line in said
    )
    assert any("piku config:set moved API_KEY=…" in line for line in said), said

    app.does("config:set", "API_KEY=from-the-mailer")
    said = app.deployed()
    assert "       Kept with the settings of moved: SECRET_KEY_BASE, GREETING" in said
    assert warned(said) == [
        "app.json: used env, scripts.postdeploy; not used scripts.test, addons, buildpacks",
        ".env is not used, and never served: see `piku config:push`, and take it out of git",
        ".env.example has settings that moved has not, if it needs them:",
        "  piku config:set moved COLOUR=…",
        "Aptfile: this server lacks no-such-package-here; if the app needs them, as root:",
        "  apt-get install no-such-package-here",
        "Not used: Dockerfile, fly.toml; what runs is `web: exec python3 -IS server.py`",
    ]
    assert "-----> Postdeploy: echo seeded >> $DATA_ROOT/seeds" in said
    assert (app.data / "seeds").read_text() == "seeded\n"
    first = settings(app)
    assert (first["GREETING"], len(first["SECRET_KEY_BASE"])) == ("hello", 64)
    assert not any(first["SECRET_KEY_BASE"] in line for line in said)

    # Only what is new or has changed is said again; the secret and the first deploy happen once.
    app.does("config:set", "GREETING=bye")
    app.commit(Dockerfile="FROM scratch\n", Aptfile=None)
    said = app.deployed()
    assert warned(said) == ["Not used: Dockerfile; what runs is `web: exec python3 -IS server.py`"]
    assert settings(app) == {**first, "GREETING": "bye"}
    assert (app.data / "seeds").read_text() == "seeded\n"


def test_a_postdeploy_that_fails(new_app: NewApp) -> None:
    about = {"scripts": {"postdeploy": "echo no table; exit 3"}}
    app = new_app("seedless", {**web("seedless"), "app.json": json.dumps(about)}, push=False)
    assert warned(app.deployed())[-2:] == [
        "the postdeploy command failed with exit code 3: echo no table; exit 3; the release stays live",
        "It is not run again: once it can work, piku run seedless 'echo no table; exit 3'",
    ]
    assert app.body() == "one"
    app.commit(Procfile=WEB + "release: true\n")
    assert not any("Postdeploy" in line for line in app.deployed())
