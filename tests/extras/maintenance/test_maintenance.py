"""An app in maintenance: 503 with a page, whatever is deployed meanwhile."""

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App, refused
from tests.extras.site_options.test_error_pages import PAGES, page
from tests.web.client import answers, of


def test_maintenance(new_app: NewApp, server: Sandbox) -> None:
    env = "NGINX_STATIC_PATHS=/files:public\nNGINX_BASIC_AUTH='a:{SSHA}0+vqiBWKb9LMCBTQPwSdVLIATWpzYWx0'\n"
    app = new_app("down", answers("web", "down", env, public__a_txt="a"))
    other = new_app("downhill", answers("wsgi", "downhill"))
    folder = server.root / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token-2").write_text("token-2.thumbprint")
    assert of(app, "/").status == 401

    on = app.asked("maintenance:on")
    assert on.returncode == 0
    said = on.stdout
    assert "down answers 503 until `piku maintenance:off down`" in said
    for path in ("/", "/files/a.txt", "/missing", "/.git/HEAD", "/ENV"):
        for https in (False, True):
            answer = of(app, path, https=https)
            assert (answer.status, answer.header("Retry-After")) == (503, "300"), path
            assert "Back in a moment" in answer.text
            assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert of(app, "/", "--data", "x").status == of(app, "/", "--head").status == 503
    assert of(app, "/.well-known/acme-challenge/token-2").text == "token-2.thumbprint"
    assert of(other, "/").json["path"] == "/"

    # It stays while releases come and go, and each says so.
    server.commit(app.repository, {**answers("web", "down"), **PAGES})
    assert "down is in maintenance: `piku maintenance:off down` ends it" in "\n".join(
        app.deployed()
    )
    assert of(app, "/").status == 503
    app.does("maintenance:on", "--retry-after", "7")
    assert of(app, "/").header("Retry-After") == "7"
    said = app.does("config:set", "NGINX_ERROR_PAGES=503:errors/503.html")
    assert "is in maintenance" in said
    answer = of(app, "/")
    assert (page(answer), answer.header("Retry-After")) == ((503, "503"), "7")
    # The processes run on.
    assert list(app.ps()) == ["web.1"]
    app.does("restart")
    assert of(app, "/").status == 503

    assert "down answers again" in app.does("maintenance:off")
    assert of(app, "/").json["path"] == "/"
    app.does("maintenance:off")
    refused(server.piku("maintenance:on", "nosuch"), 1, "no app called 'nosuch'")
    refused(server.piku("maintenance:off", "nosuch"), 1, "no app called 'nosuch'")
    assert server.piku("maintenance:on", "down", "--retry-after", "0").returncode == 2
    assert of(app, "/").status == 200


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"since": "x"}'])
def test_a_damaged_record_is_its_app_s_problem(
    new_app: NewApp, server: Sandbox, record: str
) -> None:
    if not (server.root / "repos" / "broken").exists():
        for name in ("broken", "sound"):
            new_app(name, answers("web", name))
    broken, sound = (
        App(server=server, name=name, repository=server.base) for name in ("broken", "sound")
    )
    place = server.root / "envs" / "broken" / "maintenance.json"
    place.write_text(record)
    sound.does("restart")
    assert of(sound, "/").json["path"] == of(broken, "/").json["path"] == "/"
    result = broken.says("config:set", f"A={record}")
    assert result.returncode == 1 and "maintenance.json is damaged" in result.stderr
    broken.does("maintenance:off")
    broken.does("restart")


def test_a_field_of_another_version_is_ignored(new_app: NewApp, server: Sandbox) -> None:
    app = new_app("later", answers("web", "later"))
    app.does("maintenance:on", "--retry-after", "9")
    place = server.root / "envs" / "later" / "maintenance.json"
    place.write_text(place.read_text().replace("{", '{"colour": "blue", ', 1))
    app.does("restart")
    assert (of(app, "/").status, of(app, "/").header("Retry-After")) == (503, "9")


def test_an_app_that_nginx_does_not_serve(new_app: NewApp) -> None:
    app = new_app("unserved", {"Procfile": "worker: sleep 1000\n"})
    refused(app.says("maintenance:on"), 1, "nginx does not serve unserved")
