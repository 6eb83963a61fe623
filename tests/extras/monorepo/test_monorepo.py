"""Several apps in one repository."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sandbox import Sandbox

from piku.errors import PikuError
from piku.extras.monorepo import monorepo
from tests.e2e.support import SERVER, App

# Reads what is beside it, and writes beside its code.
API = "import pathlib\nprint(pathlib.Path('../shared/greeting.txt').read_text(), flush=True)\n"
FILES = {
    "ENV": "GREETING=hello from the top\nLEVEL=top\n",
    "shared/greeting.txt": "shared words",
    "backend/Procfile": "preflight: test -f server.py -a -f ../shared/greeting.txt\n"
    "release: pwd >>$DATA_ROOT/folders\n"
    "web: exec python3 -IS server.py\nworker: python3 -IS -u api.py; exec sleep 1000\n",
    "backend/ENV": "NGINX_SERVER_NAME=backend.localhost\nLEVEL=backend, not $LEVEL\n"
    "PIKU_PERSIST=uploads\nNGINX_STATIC_PATHS=/static:assets,/shared:words\n",
    "backend/server.py": SERVER,
    "backend/api.py": API,
    "backend/assets/a.txt": "an asset",
    "frontend/Procfile": "static: site\n",
    "frontend/ENV": "NGINX_SERVER_NAME=frontend.localhost\n",
    "frontend/site/index.html": "the frontend",
    "README": "",
}


def test_two_apps_of_one_repository(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("backend", FILES, push=False)
    site = App(server=server, name="frontend", repository=app.repository)
    assert app.failed()[2:4] == [
        " !     v1 failed at reading the commit: there is no Procfile in the top folder of this commit,"
        " but in backend, frontend",
        " !     for the app in backend: piku config:set backend PIKU_APP_DIR=backend",
    ]
    (app.repository / "backend" / "words").symlink_to("../shared")
    app.commit("A link out of the folder")
    app.does("config:set", "PIKU_APP_DIR=backend/")
    app.deployed()
    site.failed()
    site.does("config:set", "PIKU_APP_DIR=frontend")
    site.deployed()

    # All is relative to the app's folder, whose ENV counts above the top one's.
    live = server.root / "apps" / "backend"
    assert live.resolve() == server.root / "releases" / "backend" / "v2" / "backend"
    assert (app.data / "folders").read_text().split() == [str(live.resolve())]
    assert app.does("run", "cat ../shared/greeting.txt; pwd") == f"shared words{live.resolve()}\n"
    assert app.does("run", 'echo "$GREETING, $LEVEL"') == "hello from the top, backend, not top\n"
    assert app.body("/static/a.txt") == "an asset"
    assert app.body("/shared/greeting.txt") == "shared words"
    assert site.body() == "the frontend"
    log = server.root / "logs" / "backend" / "worker.1.log"
    server.wait(lambda: "shared words" in log.read_text())
    (live / "uploads" / "kept.txt").write_text("kept")
    assert (app.data / "uploads" / "kept.txt").read_text() == "kept"

    # A push deploys the apps that it concerns.
    server.commit(app.repository, {"frontend/site/index.html": "a new frontend", "README": "x"})
    assert app.deployed() == [
        "-----> Nothing in backend has changed since v2: backend stays as it is"
    ]
    site.deployed()
    assert (app.live(), site.live(), site.body()) == (2, 3, "a new frontend")
    server.commit(app.repository, {"ENV": "GREETING=hi\n"})
    app.deployed()
    assert (app.live(), app.does("run", "echo $GREETING")) == (3, "hi\n")

    # Files that it wrote beside the code, and not below PIKU_PERSIST.
    (live / "lost.txt").write_text("")
    server.commit(app.repository, {"backend/version.txt": "two"})
    said = app.failed()
    assert "       backend/lost.txt" in said
    assert any("config:set backend PIKU_PERSIST=lost.txt" in line for line in said)
    (live / "lost.txt").unlink()

    # After a failure any push deploys.
    server.git(app.repository, "reset", "--quiet", "--hard", "HEAD~1")
    server.commit(app.repository, {"README": "y"})
    app.deployed()
    assert (app.live(), app.body()) == (5, "one")


def test_another_folder_by_a_setting(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app(
        "moves",
        {
            "ENV": "PIKU_APP_DIR=one\nPIKU_WATCH=one,lib/**/*.txt\nNGINX_SERVER_NAME=moves.localhost\n",
            "one/Procfile": "static: .\n",
            "one/index.html": "one",
            "two/Procfile": "static: .\n",
            "two/index.html": "two",
            "lib/a/b.txt": "",
        },
    )
    assert app.body() == "one"
    app.does("config:set", "PIKU_APP_DIR=two")
    assert app.body() == "two"
    app.does("rollback")
    assert app.body() == "one"
    assert (server.root / "apps" / "moves").resolve().parent.name == "v1"

    server.commit(app.repository, {"two/index.html": "new", "lib/a/b.c": ""})
    said_by_push = app.deployed()
    assert "one, lib/**/*.txt has changed since v3" in said_by_push[0]
    server.commit(app.repository, {"lib/a/b.txt": "new"})
    app.deployed()
    assert (app.live(), app.body()) == (4, "one")
    app.says("config:set", "PIKU_APP_DIR=three")
    assert app.releases()[0]["outcome"] == "failed"
    assert "PIKU_APP_DIR=three: there is no such folder" in app.releases()[0]["reason"]


@pytest.mark.parametrize("text", ["../x", "!x", ":(top)x", "a/../../b"])
def test_globs_stay_in_the_repository(text: str) -> None:
    with pytest.raises(PikuError, match="PIKU_WATCH"):
        monorepo.WATCH.read({"PIKU_WATCH": text})
