"""Answers that nginx keeps: whose, for how long, and where."""

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.web.client import Answer, answers, of

KINDS = ["web", "wsgi"]


@pytest.fixture(scope="module", params=KINDS)
def cached(request: pytest.FixtureRequest, new_app: NewApp) -> App:
    name = f"cached{request.param}"
    env = "NGINX_CACHE_PREFIXES=/images|feed|/deep/er/\nNGINX_CACHE_CONTROL=120\n"
    return new_app(name, answers(request.param, name, env))


def asked(app: App, path: str, *options: str) -> tuple[str, int]:
    """What nginx says of its cache, and which answer of the app's this is."""
    answer = of(app, path, *options)
    return answer.header("X-Cache"), int(answer.json["number"])


def is_kept(app: App, path: str, *options: str) -> bool:
    first, second = asked(app, path, *options), asked(app, path, *options)
    assert first[0] in ("MISS", "BYPASS", "EXPIRED"), first
    assert (second[0] == "HIT") == (first[1] == second[1])
    return second[0] == "HIT"


def test_what_is_kept(cached: App) -> None:
    for path in (
        "/images",
        "/images/a.png",
        "/images/?q=1",
        "/images/?q=2",
        "/feed",
        "/feed/x",
        "/deep/er",
        "/deep/er/x",
    ):
        assert is_kept(cached, path), path
    # Each address and each kind of request is one of its own.
    assert of(cached, "/images/a.png?other").json["path"] == "/images/a.png"
    assert asked(cached, "/images/a.png?other=1")[0] == "MISS"
    assert of(cached, "/images/a.png", https=True).header("X-Cache") == "MISS"
    head = of(cached, "/images/a.png", "--head")
    assert (head.status, head.body) == (200, b"")
    assert asked(cached, "/images/a.png")[0] == "HIT"


def test_a_part_of_an_answer_is_not_kept(cached: App) -> None:
    """Where the end of the connection is the end of the answer, nothing says that it broke off."""
    first, second = of(cached, "/images/?cut=1"), of(cached, "/images/?cut=1")
    assert [first.header("X-Cache"), second.header("X-Cache")] == ["MISS", "MISS"]
    assert first.json["number"] < second.json["number"]
    assert first.header("Cache-Control") == ""


def test_what_is_not_kept(cached: App) -> None:
    for path in ("/", "/images-private", "/imagesx/1", "/feeds", "/deep", "/Images/a"):
        first, second = of(cached, path), of(cached, path)
        assert first.header("X-Cache") == second.header("X-Cache") == "", path
        assert first.header("Cache-Control") == ""
        assert first.json["number"] != second.json["number"]
    for query in (
        "header=Set-Cookie:session=1",
        "header=Cache-Control:no-store",
        "header=Cache-Control:private",
        "header=Cache-Control:no-cache",
        "header=Cache-Control:max-age=0",
        "header=Vary:*",
        "status=500",
        "status=503",
    ):
        assert not is_kept(cached, f"/images/?{query}"), query
    sent = [of(cached, "/images/form", "--data", "x=1") for _ in range(2)]
    assert sent[0].json["number"] != sent[1].json["number"]
    assert [answer.json["received"] for answer in sent] == [3, 3]
    assert sent[0].header("X-Cache") in ("", "BYPASS", "MISS")


def test_what_somebody_gets_who_logged_in_is_for_nobody_else(cached: App) -> None:
    login = ("--user", "alice:pw")
    assert asked(cached, "/images/mine", *login)[0] == "BYPASS"
    first = asked(cached, "/images/mine")
    assert first[0] == "MISS"
    assert asked(cached, "/images/mine") == ("HIT", first[1])
    own = of(cached, "/images/mine", *login)
    assert own.json["number"] > first[1] and own.json["user"].startswith("Basic ")
    assert own.header("Cache-Control") == ""
    kept = of(cached, "/images/mine")
    assert (kept.json["number"], kept.json["user"]) == (first[1], "")


def test_an_address_that_the_app_may_read_otherwise_is_not_kept(cached: App) -> None:
    """Whoever lures somebody to such an address must not find that person's page in the cache."""
    for path in (
        "/account/..%2fimages/x.png",
        "/account/%2e%2e/images/x.png",
        "/images/x/..%2f..%2faccount",
        "/images//account",
        "/images/..;/account",
        "/images%3b/account",
        "/images/.hidden",
        "/images%5c..%5caccount",
        "/account%20/images/x.png",
    ):
        answers = [of(cached, path, "--path-as-is") for _ in range(2)]
        assert {answer.status for answer in answers} == {200}, path
        assert [answer.header("X-Cache") for answer in answers] == ["", ""], path
    assert is_kept(cached, "/images/a%20b.png")


def test_what_is_sent_along_makes_an_answer_ones_own(cached: App) -> None:
    assert not is_kept(cached, "/images/session", "--header", "Cookie: session=1")
    assert not is_kept(cached, "/images/body", "--request", "GET", "--data", "poison")
    first = asked(cached, "/images/session")
    assert first[0] == "MISS"
    assert asked(cached, "/images/session", "--header", "Cookie: a=b") == ("BYPASS", first[1] + 1)
    assert asked(cached, "/images/session") == ("HIT", first[1])


def test_what_browsers_are_told(cached: App) -> None:
    def told(query: str) -> str:
        answers = [of(cached, f"/images/told?{query}").header("Cache-Control") for _ in range(2)]
        assert answers[0] == answers[1]
        return answers[0]

    assert told("plain") == "max-age=120"
    assert told("status=301&header=Location:/x") == "max-age=120"
    assert told("status=404") == ""
    assert told("header=Set-Cookie:a=1") == ""
    # What the app itself says is what it means.
    assert told("header=Cache-Control:no-store") == "no-store"
    assert told("header=Cache-Control:public,max-age=5") == "public,max-age=5"
    assert told("header=Expires:Thu, 01 Jan 2037 00:00:00 GMT".replace(" ", "%20")) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_for_how_long(new_app: NewApp, kind: str) -> None:
    """Each kind of answer has its time; that of a changed setting counts from the next deploy on."""
    name = f"times{kind}"
    env = "NGINX_CACHE_PREFIXES=/\nNGINX_CACHE_TIME=1\nNGINX_CACHE_REDIRECTS=1000\nNGINX_CACHE_ANY=1000\n"
    app = new_app(name, answers(kind, name, env))
    begun: Answer = of(app, "/content")
    for query in (
        "status=301&header=Location:/",
        "status=302&header=Location:/",
        "status=404",
        "status=410",
    ):
        assert is_kept(app, f"/?{query}"), query

    def renewed() -> bool:
        return bool(of(app, "/content").json["number"] > begun.json["number"])

    # What is over its time is shown once more while a new one is fetched.
    app.server.wait(renewed)
    assert asked(app, "/?status=404")[0] == "HIT"


def test_where_and_how_much(new_app: NewApp) -> None:
    """Every setting may change while answers are kept."""
    name = "places"
    app = new_app(name, answers("wsgi", name, "NGINX_CACHE_PREFIXES=/\n"))
    assert is_kept(app, "/content")
    folder = app.server.root / "cache" / name / "nginx"
    assert any(path.is_file() for path in folder.rglob("*"))

    app.does("config:set", "NGINX_CACHE_TIME=1000", "NGINX_CACHE_SIZE=2", "NGINX_CACHE_EXPIRY=1000",
             "NGINX_CACHE_PATH=elsewhere", "NGINX_CACHE_ANY=0")  # fmt: skip
    fresh = asked(app, "/content")
    assert fresh[0] == "MISS"
    assert asked(app, "/content") == ("HIT", fresh[1])
    assert any(path.is_file() for path in (folder.parent / "elsewhere").rglob("*"))
    assert not is_kept(app, "/?status=404")
    app.does("config:set", f"NGINX_CACHE_PATH={app.data}/kept", "NGINX_CACHE_PREFIXES=/images")
    assert is_kept(app, "/images/1")
    assert any(path.is_file() for path in (app.data / "kept").rglob("*"))
    assert of(app, "/content").header("X-Cache") == ""
    # A release does not lose what is kept, and removing the files is how to forget it.
    kept = asked(app, "/images/1")
    app.commit(version_txt="two")
    app.deployed()
    assert asked(app, "/images/1") == kept
    forget = app.says("run", "--", "sh", "-c", 'rm -rf "$DATA_ROOT"/kept/nginx/*')
    assert forget.returncode == 0, forget.stderr
    assert asked(app, "/images/1")[0] == "MISS"


def test_a_wrong_cache_path_is_refused(cached: App) -> None:
    root = cached.server.root
    (cached.data / "precious").mkdir(parents=True, exist_ok=True)
    (cached.data / "precious" / "letter.txt").write_text("dear")
    result = cached.says("config:set", "NGINX_CACHE_PATH=/srv/cache")
    assert result.returncode == 1
    assert "is not in a folder of the app's own" in result.stdout + result.stderr
    cached.does("config:set", f"NGINX_CACHE_PATH={cached.data}/precious")
    assert is_kept(cached, f"/images/after-{root.name}")
    assert (cached.data / "precious" / "letter.txt").read_text() == "dear"


def test_prefixes_beside_static_files(new_app: NewApp, server: Sandbox) -> None:
    """Files come before the app, whose answers are kept below "/" all the same."""
    app = new_app(
        "cachedfiles",
        answers("web", "cachedfiles", "NGINX_STATIC_PATHS=/:public\nNGINX_CACHE_PREFIXES=/\n",
                public__a_txt="a", public__sub__b_txt="b"),
    )  # fmt: skip
    assert of(app, "/a.txt").text == "a"
    assert of(app, "/a.txt").header("X-Cache") == ""
    assert is_kept(app, "/other")
    app.does("config:set", "NGINX_CACHE_PREFIXES=/sub")
    assert of(app, "/sub/b.txt").text == "b"
    assert is_kept(app, "/sub/other")
    assert of(app, "/other").header("X-Cache") == ""
    app.does("stop")
    assert of(app, "/sub/b.txt").text == "b"
    assert of(app, "/sub/other").status == of(app, "/").status == 503
