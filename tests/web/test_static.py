"""Files that nginx serves itself: what is found, how it is sent, and what nobody gets."""

import gzip
import hashlib
import os

import pytest

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.web.client import answers, of

STYLE = "h1 { color: teal }\n" * 100


@pytest.fixture(scope="module")
def site(new_app: NewApp) -> App:
    paths = "/favicon.ico:img/icon.ico,/all:.,/uploads/:{data}/uploads,/own:{apps}/brochure/dist"
    app = new_app("brochure", {"Procfile": "static: /:public,assets/:dist/assets/\n"}, push=False)
    env = "NGINX_SERVER_NAME=brochure.localhost\nAPI_TOKEN=do-not-show\n"
    paths = paths.format(data=app.data, apps=app.server.root / "apps")
    files = {
        "ENV": f"{env}NGINX_STATIC_PATHS={paths}\n",
        "public/index.html": "<h1>front page</h1>",
        "public/docs/index.html": "<h1>the docs</h1>",
        "public/about.html": "<h1>about</h1>",
        "public/empty/secret.txt": "not listed",
        "public/a b.txt": "with a space",
        "public/style.css": STYLE,
        "public/tiny.css": "h1{}",
        "public/app.mjs": "export default 1\n",
        "public/app.js": "1\n",
        "public/site.webmanifest": "{}",
        "public/logo.svg": "<svg/>",
        "public/font.woff2": "-",
        "public/page.json": "{}",
        "public/.env": "PASSWORD=do-not-show\n",
        "public/docs/.env.production": "PASSWORD=do-not-show\n",
        "public/.htpasswd": "me:do-not-show\n",
        "public/.well-known/security.txt": "Contact: mailto:me@example.com\n",
        "public/packed.js": "alert()\n" * 300,
        "dist/assets/app-3f2a91bc.js": "hashed\n",
        "dist/assets/app.3f2a91bc0d.chunk.css": "hashed\n",
        "dist/assets/start.CFhBqeJ1.js": "hashed\n",
        "dist/assets/style-BQwrgTda.css": "hashed\n",
        "dist/assets/jquery-settings.js": "a word\n",
        "dist/assets/my-Settings.js": "a word\n",
        "dist/assets/photo-iPhone12.jpg": "a word\n",
        "public/notes.md": "# é\n",
        "public/dates.ics": "BEGIN:VCALENDAR\n",
        "public/deploy.yaml": "a: 1\n",
        "dist/assets/report-20240131.csv": "a date\n",
        "dist/assets/a-decade.js": "a word\n",
        "dist/assets/sub/index.html": "<h1>below</h1>",
        "img/icon.ico": "icon",
    }
    app.server.commit(app.repository, files)
    (app.repository / "public/packed.js.gz").write_bytes(gzip.compress(b"packed before\n" * 300))
    app.commit("With a file that is compressed already")
    app.deployed()
    return app


def test_files_and_folders_are_found(site: App) -> None:
    for path, text in (
        ("/", "<h1>front page</h1>"),
        ("/index.html", "<h1>front page</h1>"),
        ("/?q=1", "<h1>front page</h1>"),
        ("/about", "<h1>about</h1>"),
        ("/docs/", "<h1>the docs</h1>"),
        ("/a%20b.txt", "with a space"),
        ("/assets/app-3f2a91bc.js", "hashed\n"),
        ("/assets/sub/", "<h1>below</h1>"),
        ("/favicon.ico", "icon"),
        ("/all/public/index.html", "<h1>front page</h1>"),
        ("/own/assets/sub/index.html", "<h1>below</h1>"),
        ("/.well-known/security.txt", "Contact: mailto:me@example.com\n"),
    ):
        answer = of(site, path)
        assert (answer.status, answer.text) == (200, text), path
    assert site.does("ps", "--json").strip() == "[]"
    assert (
        of(site, "/", https=True).text
        == of(site, "/", "--http2", https=True).text
        == "<h1>front page</h1>"
    )
    assert of(site, "/", "--http2", https=True).protocol == "HTTP/2"
    for path in (
        "/missing",
        "/docs/missing",
        "/assets/missing.js",
        "/favicon.ico/",
        "/@piku-none",
        "/uploads/",
    ):
        assert of(site, path).status == 404, path
    assert of(site, "/", "--data", "x").status == 405


def test_a_folder_is_asked_for_with_its_slash(site: App) -> None:
    """The redirect names neither host nor port: they may be those of another server in front."""
    for path, place in (
        ("/docs", "/docs/"),
        ("/docs?q=1&r=%2F", "/docs/?q=1&r=%2F"),
        ("/assets", "/assets/"),
        ("/assets?q=1", "/assets/?q=1"),
        ("/assets/sub", "/assets/sub/"),
        ("/assets/sub?q=1", "/assets/sub/?q=1"),
    ):
        answer = of(site, path)
        assert (answer.status, answer.header("Location")) == (301, place), path
    followed = of(site, "/assets/sub", "--location", "--no-include", "--output", "/dev/null", "--write-out",
                  "HTTP/1.1 %{http_code} \r\n\r\n%{url_effective}")  # fmt: skip
    assert followed.text == f"http://{site.host}:{site.server.http_port}/assets/sub/"
    for path in ("/empty/", "/assets/", "/all/"):
        answer = of(site, path)
        assert answer.status == 404, path
        assert "secret.txt" not in answer.text and "img" not in answer.text


def test_nobody_gets_what_was_not_meant(site: App) -> None:
    for path in (
        "/ENV", "/Procfile", "/all/ENV", "/all/%45NV", "/all//ENV", "/all/./ENV", "/all/public/../ENV",
        "/all/Procfile", "/all/.git/HEAD", "/.git/config", "/all/.gitignore", "/assets../ENV", "/assets..%2fENV",
        "/assets/../../ENV", "/assets/%2e%2e/%2e%2e/ENV", "/assets/..%2f..%2fENV", "/assets/%252e%252e/ENV",
        "/..%5cENV", "/docs/../../ENV", "/uploads../APP", "/favicon.ico/../ENV", "/all/ENV/", "/all/ENV%00",
        "/.env", "/%2eenv", "/docs/.env.production", "/docs/../.env", "/all/public/.env", "/.htpasswd",
        "/@before-0/public/.env", "/@before-0/ENV", "/@before-3/all/ENV", "/@before-3/all/public/index.html",
    ):  # fmt: skip
        answer = of(site, path)
        assert answer.status in (400, 404), path
        assert b"do-not-show" not in answer.body and b"ref:" not in answer.body, path


def test_how_files_are_sent(site: App) -> None:
    for path, kind in (
        ("/", "text/html; charset=utf-8"),
        ("/a%20b.txt", "text/plain; charset=utf-8"),
        ("/notes.md", "text/markdown; charset=utf-8"),
        ("/dates.ics", "text/calendar; charset=utf-8"),
        ("/deploy.yaml", "application/yaml; charset=utf-8"),
        ("/app.js", "application/javascript; charset=utf-8"),
        ("/app.mjs", "text/javascript"),
        ("/style.css", "text/css"),
        ("/page.json", "application/json"),
        ("/site.webmanifest", "application/manifest+json"),
        ("/logo.svg", "image/svg+xml"),
        ("/font.woff2", "font/woff2"),
        ("/favicon.ico", "image/x-icon"),
    ):
        assert of(site, path).header("Content-Type").removesuffix(
            "; charset=utf-8"
        ) == kind.removesuffix("; charset=utf-8"), path
    assert of(site, "/").header("Content-Type").endswith("charset=utf-8")
    year, anew = "max-age=31536000", "no-cache"
    for path, said in (
        ("/", anew),
        ("/docs/", anew),
        ("/app.js", anew),
        ("/favicon.ico", anew),
        ("/assets/app-3f2a91bc.js", year),
        ("/assets/app.3f2a91bc0d.chunk.css", year),
        ("/assets/start.CFhBqeJ1.js", year),
        ("/assets/style-BQwrgTda.css", year),
        ("/assets/jquery-settings.js", anew),
        ("/assets/my-Settings.js", anew),
        ("/assets/photo-iPhone12.jpg", anew),
        ("/assets/report-20240131.csv", anew),
        ("/assets/a-decade.js", anew),
    ):
        assert of(site, path).header("Cache-Control") == said, path
    assert of(site, "/missing-3f2a91bc.js").header("Cache-Control") == ""

    whole = of(site, "/style.css")
    head = of(site, "/style.css", "--head")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", str(len(STYLE)))
    assert whole.text == STYLE
    for condition in (
        f"If-None-Match: {whole.header('ETag')}",
        f"If-Modified-Since: {whole.header('Last-Modified')}",
    ):
        again = of(site, "/style.css", "--header", condition)
        assert (again.status, again.body) == (304, b"")
        assert again.header("Cache-Control") == anew
    assert of(site, "/style.css", "--header", 'If-None-Match: "other"').status == 200
    part = of(site, "/style.css", "--range", "3-9")
    assert (part.status, part.text) == (206, STYLE[3:10])
    assert part.header("Content-Range") == f"bytes 3-9/{len(STYLE)}"
    assert of(site, "/style.css", "--range", "99999-").status == 416


def test_compression(site: App) -> None:
    packed = ("--header", "Accept-Encoding: gzip")
    plain = of(site, "/style.css")
    assert (plain.header("Content-Encoding"), plain.header("Vary")) == ("", "Accept-Encoding")
    answer = of(site, "/style.css", *packed)
    assert (answer.header("Content-Encoding"), answer.header("Vary")) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(answer.body).decode() == STYLE
    assert of(site, "/tiny.css", *packed).header("Content-Encoding") == ""
    # One that was compressed beforehand is sent as it is.
    ready = of(site, "/packed.js", *packed)
    assert gzip.decompress(ready.body) == b"packed before\n" * 300
    assert (ready.header("Content-Length"), ready.header("Vary")) == (
        str(len(ready.body)),
        "Accept-Encoding",
    )
    assert of(site, "/packed.js").text == "alert()\n" * 300


def test_uploads_and_large_files(site: App) -> None:
    """What an app keeps in its data folder; large files are read past the page cache, and by threads."""
    uploads = site.data / "uploads"
    uploads.mkdir()
    large = os.urandom(1_000_000) * 17 + b"the end"
    (uploads / "large.bin").write_bytes(large)
    (uploads / ".git").mkdir()
    (uploads / ".git" / "HEAD").write_text("ref: x")
    # An archive that the app unpacks may have links.
    (uploads / "evil.txt").symlink_to(site.server.root / "apps" / site.name / "ENV")
    (uploads / "out").symlink_to(site.server.root)
    for path in ("/uploads/evil.txt", f"/uploads/out/apps/{site.name}/public/index.html"):
        assert of(site, path).status == 404, path
    for options in ((), ("--http2",)):
        answer = of(site, "/uploads/large.bin", *options, https=bool(options))
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(large).digest()
    assert of(site, "/uploads/large.bin", "--range", "-7").body == b"the end"
    assert (
        of(site, "/uploads/large.bin", "--range", "8999999-9000001").body == large[8999999:9000002]
    )
    assert of(site, "/uploads/.git/HEAD").status == 404
    site.does("config:set", "NGINX_ALLOW_GIT_FOLDERS=true")
    assert of(site, "/uploads/.git/HEAD").text == "ref: x"
    site.does("config:unset", "NGINX_ALLOW_GIT_FOLDERS")
    assert of(site, "/uploads/.git/HEAD").status == 404


def test_a_release_that_names_a_wrong_path_is_refused(site: App) -> None:
    links = site.repository / "public"
    (links / "outside").symlink_to("../../../../../envs")
    (links / "inside").symlink_to("docs")
    before = site.live()
    site.commit(ENV="NGINX_SERVER_NAME=brochure.localhost\nNGINX_STATIC_PATHS=/x:public/outside\n")
    said = "\n".join(site.failed())
    assert "NGINX_STATIC_PATHS: public/outside leads outside the app's folder" in said
    assert f"v{before}" in said and "still runs" in said
    result = site.says("config:set", "NGINX_STATIC_PATHS=/x:no/such")
    assert result.returncode == 1
    assert "there is no file or folder 'no/such'" in result.stdout + result.stderr
    assert site.live() == before
    assert of(site, "/assets/sub/").text == "<h1>below</h1>"
    site.commit(ENV="NGINX_SERVER_NAME=brochure.localhost\nNGINX_STATIC_PATHS=/x:public/inside\n")
    site.deployed()
    assert of(site, "/x/index.html").text == "<h1>the docs</h1>"
    for path in ("/outside/", f"/outside/{site.name}/LIVE_ENV"):
        assert of(site, path).status == 404, path


def test_pages_that_are_open_find_the_files_of_the_release_before(new_app: NewApp) -> None:
    def files(version: str) -> dict[str, str]:
        return {
            "Procfile": "static: public\n",
            "ENV": "NGINX_SERVER_NAME=before.localhost\nNGINX_STATIC_PATHS=/assets:dist\n",
            f"public/page-{version}.js": version,
            f"dist/asset-{version}.js": version,
            "public/same.txt": version,
            "dist/same.txt": version,
        }

    app = new_app("before", files("one"))
    seen = ("/page-{}.js", "/assets/asset-{}.js")

    def found(version: str) -> list[int]:
        return [of(app, path.format(version)).status for path in seen]

    def deployed(version: str, old: str) -> None:
        gone: dict[str, str | None] = {f"public/page-{old}.js": None, f"dist/asset-{old}.js": None}
        app.server.commit(app.repository, {**files(version), **gone})
        app.deployed()
        assert of(app, "/same.txt").text == of(app, "/assets/same.txt").text == version

    deployed("two", old="one")
    assert found("one") == found("two") == [200, 200]
    assert of(app, seen[0].format("one")).header("ETag")
    app.does("config:set", "OTHER=1")  # the same code: pages may be as old as before
    assert found("one") == found("two") == [200, 200]
    deployed("three", old="two")
    assert (found("one"), found("two"), found("three")) == ([404, 404], [200, 200], [200, 200])
    app.does("rollback")
    assert of(app, "/same.txt").text == of(app, "/assets/same.txt").text == "two"
    assert (found("one"), found("two"), found("three")) == ([404, 404], [200, 200], [200, 200])
    assert of(app, "/ENV").status == of(app, "/assets/missing").status == 404


@pytest.mark.parametrize("kind", ["web", "wsgi"])
def test_in_front_of_an_app(new_app: NewApp, kind: str) -> None:
    """A file wins, an app answers what is no file, and old files are there for open pages."""
    name = f"front{kind}"
    app = new_app(
        name, answers(kind, name, "NGINX_STATIC_PATHS=/:public,/assets:dist\n", public__old_txt="old",
                      public__same_txt="one", public__docs__index_html="the docs", dist__old_txt="old",
                      dist__same_txt="one", ENVIRONMENT="-"),
    )  # fmt: skip
    for path in ("/", "/missing", "/answers.py", "/ENV", "/index.html", "/a/b?c=d", "/old.txt/x"):
        assert of(app, path).json["path"] == path.partition("?")[0], path
    assert of(app, "/same.txt").text == of(app, "/assets/same.txt").text == "one"
    assert of(app, "/", "--data", "sent").json["received"] == 4
    assert of(app, "/docs/").text == "the docs"
    # Relative links in its page need the slash.
    assert (of(app, "/docs?q=1").status, of(app, "/docs?q=1").header("Location")) == (
        301,
        "/docs/?q=1",
    )
    assert of(app, "/assets/missing").status == 404
    gone: dict[str, str | None] = {"public/old.txt": None, "dist/old.txt": None}
    app.server.commit(
        app.repository,
        {**gone, "public/same.txt": "two", "dist/same.txt": "two", "public/new.txt": "two"},
    )
    app.deployed()
    for path in ("/same.txt", "/assets/same.txt", "/new.txt"):
        assert of(app, path).text == "two"
    assert of(app, "/old.txt").text == of(app, "/assets/old.txt").text == "old"
    app.commit(version_txt="three")
    app.deployed()
    assert of(app, "/old.txt").json["path"] == "/old.txt"
    assert of(app, "/assets/old.txt").status == 404
    if kind == "web":
        return
    app.does("stop")
    assert of(app, "/same.txt").text == of(app, "/assets/same.txt").text == "two"
    assert of(app, "/docs/").text == "the docs"
    assert of(app, "/docs").status == 301
    for path in ("/", "/other", "/docs/x"):
        assert of(app, path).status == 503, path
    assert of(app, "/assets/missing").status == 404
    app.does("restart")
    assert of(app, "/other").json["path"] == "/other"


def test_a_single_page_app(new_app: NewApp) -> None:
    files = {
        "Procfile": "static: dist\n",
        "ENV": "NGINX_SERVER_NAME=spa.localhost\nNGINX_CATCH_ALL=index.html\nNGINX_STATIC_PATHS=/docs:docs\n",
        "dist/index.html": "<div id=app></div>",
        "dist/assets/app-3f2a91bc.js": "app",
        "docs/page.html": "a page",
    }
    app = new_app("spa", files)
    for path in (
        "/",
        "/index.html",
        "/orders/7?tab=2",
        "/assets/",
        "/deep/er/still",
        "/docs/missing",
        "/docs/",
    ):
        answer = of(app, path)
        assert (answer.status, answer.text) == (200, "<div id=app></div>"), path
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert answer.header("Cache-Control") == "no-cache", path
    assert of(app, "/assets/app-3f2a91bc.js").text == "app"
    assert of(app, "/docs/page.html").text == "a page"
    assert of(app, "/.git/HEAD").status == 404
    # An app behind the files is what answers for the rest.
    app.server.commit(
        app.repository,
        {
            **answers(
                "web", "spa", "NGINX_CATCH_ALL=/index.html\nNGINX_STATIC_PATHS=/:dist,/docs:docs\n"
            )
        },
    )
    app.deployed()
    assert of(app, "/orders/7").json["path"] == "/orders/7"
    assert of(app, "/docs/missing").text == "<div id=app></div>"
