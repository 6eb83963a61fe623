"""nginx is outside the walls: what it serves for an app is the app's own."""

from __future__ import annotations

from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import web
from tests.extras.sandbox import support

SECRET = "the victim's"


def test_a_link_in_data_that_is_served(server: Sandbox, new_app: NewApp) -> None:
    server.piku("apps:create", "victim")
    (server.root / "data" / "victim").mkdir(parents=True)
    (server.root / "data" / "victim" / "kept.txt").write_text(SECRET)
    env = "PIKU_PERSIST=media\nNGINX_STATIC_PATHS=/media:media,/css:public,/one:public/one.txt\n"
    files = {**web("shows", env=env), "public/one.txt": "one", "public/deep/two.txt": "two"}
    app = support.pushed(new_app("shows", files, push=False), "PIKU_SANDBOX=false")
    media, victim = app.data / "media", server.root / "data" / "victim"
    (media / "own.txt").write_text("own")
    (media / "link").symlink_to(victim)
    assert app.status("/media/link/kept.txt") != 200

    app.does("config:set", "PIKU_SANDBOX=true")
    served = {path: app.status(path) for path in ("/media/own.txt", "/one", "/css/deep/two.txt")}
    assert served == {"/media/own.txt": 200, "/one": 200, "/css/deep/two.txt": 200}
    assert app.status("/media/link/kept.txt") != 200
    media.rename(app.data / "moved")
    media.symlink_to(victim)
    assert app.status("/media/kept.txt") != 200
    app.commit(version_txt="two")
    assert any("media leads outside the app's folder" in line for line in app.failed())
