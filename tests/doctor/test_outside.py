"""`piku doctor APP` asks as visitors do, and says which layer answered and why."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox import Sandbox

from tests.doctor.support import (
    EXAMINE,
    Finding,
    elsewhere,
    examined,
    mended,
    reports,
    sees,
    sees_no_more,
    the_one,
    with_text,
)
from tests.doctor.test_apps import patient
from tests.e2e.conftest import NewApp, started
from tests.e2e.support import App, refused


@pytest.fixture(scope="module")
def clinic() -> Iterator[Sandbox]:
    """A server whose apps answer badly."""
    yield from started()


@pytest.fixture(scope="module")
def app(clinic: Sandbox) -> App:
    ports = f"HTTP={clinic.http_port}\nHTTPS={clinic.https_port}\n"
    found = App(
        server=clinic,
        name="visited",
        repository=clinic.repository("visited", patient("visited", ports)),
    )
    found.deployed()
    return found


def asked(app: App, path: str) -> list[Finding]:
    return [f for f in examined(app.server, app.name, "--url", path) if f["check"] == "outside"]


def test_a_good_answer(app: App) -> None:
    whats = [f["what"] for f in asked(app, "/fine?x=1")]
    http, https = app.server.http_port, app.server.https_port
    assert whats == [
        f"http://visited.localhost:{http}/fine?x=1 answers 200",
        f"https://visited.localhost:{https}/fine?x=1 answers 200",
    ]
    shown = app.server.ssh("doctor visited")
    assert shown.returncode == 0 and "visited" not in shown.stdout


@pytest.mark.parametrize(
    ("path", "severity", "text", "fix"),
    [
        (
            "/exit",
            "problem",
            "web.1 ended with exit code 3 while it was at this request",
            "piku logs visited",
        ),
        (
            "/cookies",
            "problem",
            "the headers of the app's answer are larger than 16 KB",
            "smaller cookies",
        ),
        ("/raw", "problem", "does not speak HTTP", "have the program speak HTTP"),
        (
            "/stuck",
            "problem",
            "no answer came within 10 s: the app accepted the request",
            "piku logs visited",
        ),
        (
            "/status/500",
            "problem",
            "the app itself answers 500: the request reached it",
            "piku logs visited",
        ),
        (
            "/status/502",
            "problem",
            "the app itself answers 502: the request reached it",
            "piku logs visited",
        ),
        (
            "/status/404",
            "warning",
            "the app itself answers 404: the request reached it",
            "for the app to know",
        ),
        (
            "/round",
            "problem",
            "a redirect loop: the app itself sends its visitors round",
            "mend the redirects",
        ),
    ],
)
def test_what_the_app_does(app: App, path: str, severity: str, text: str, fix: str) -> None:
    finding = the_one(asked(app, path), text, severity=severity, fix=fix)
    assert finding["what"].startswith(f"http://visited.localhost:{app.server.http_port}{path}")
    # An app that is ill is asked once; else by http and https.
    upstream = path in ("/exit", "/cookies", "/stuck")
    assert ("(and https://" in finding["what"]) != upstream
    app.server.wait(lambda: not with_text(asked(app, "/fine"), ""), timeout=20)
    if path == "/status/500":
        assert "answers 500 for a reason" in finding["detail"]
    if path == "/round":
        assert finding["detail"][0].endswith(
            "/round/again → " + finding["detail"][0].partition(" → ")[0]
        )


def test_what_is_hidden(app: App) -> None:
    found = asked(app, "/.git/HEAD")
    assert len(found) == 2
    assert all(f["severity"] == "ok" and "NGINX_ALLOW_GIT_FOLDERS" in f["what"] for f in found)


def test_a_slow_app(app: App) -> None:
    app.does("config:set", "NGINX_PROXY_TIMEOUT=1")
    finding = the_one(
        asked(app, "/hang"), "the app did not answer within 1 s", fix="NGINX_PROXY_TIMEOUT=300"
    )
    assert finding["severity"] == "problem"
    app.does("config:unset", "NGINX_PROXY_TIMEOUT")
    assert not with_text(asked(app, "/hang"), "")


def test_a_name_that_no_app_has(app: App) -> None:
    server = app.server
    for scheme in ("http", "https"):
        url = f"{scheme}://www.visited.localhost/x"
        finding = the_one(
            asked(app, url),
            "reached nginx's default server, for no app has the name www.visited.localhost",
        )
        assert finding["fix"].endswith("NGINX_SERVER_NAME=visited.localhost,www.visited.localhost")
    mended(server, finding)
    sees_no_more(server, "default server", "visited", "--url", url)
    app.does("config:unset", "NGINX_SERVER_NAME")
    (server.root / "nginx" / "visited.conf").rename(server.root / "kept")
    assert server.piku("restart", "visited").returncode == 0  # which puts it back
    (server.root / "kept").unlink()
    for wrong in (
        "ftp://visited.localhost/",
        "http://visited.localhost:99/",
        "nonsense",
        "http://[",
        "http:///x",
    ):
        refused(server.piku("doctor", "visited", "--url", wrong), 2, "is no address on this server")


def test_loops_between_nginx_and_the_app(app: App) -> None:
    finding = the_one(
        asked(app, "/secure"),
        "a redirect loop",
        fix="have the app trust the header X-Forwarded-Proto",
    )
    assert (
        "the app sends https to https: it does not see that the request was secure"
        in finding["what"]
    )
    assert not with_text(asked(app, "/plain"), "https to http")
    app.does("config:set", "NGINX_HTTPS_ONLY=true")
    finding = the_one(
        asked(app, "/plain"), "a redirect loop: nginx sends http to https, as NGINX_HTTPS_ONLY says"
    )
    assert finding["fix"].startswith("piku config:set visited NGINX_HTTPS_ONLY=false")
    assert not with_text(asked(app, "/fine"), "")
    app.does("config:unset", "NGINX_HTTPS_ONLY")
    app.does("config:set", "NGINX_REDIRECT_FROM=www.visited.localhost")
    finding = the_one(
        asked(app, "/www"),
        "a redirect loop: nginx sends www.visited.localhost to visited.localhost",
    )
    assert finding["fix"].endswith(
        "NGINX_SERVER_NAME=www.visited.localhost NGINX_REDIRECT_FROM=visited.localhost"
    )
    mended(app.server, finding)
    assert not [f for f in asked(app, "/fine") if f["severity"] != "ok"]
    for name in ("NGINX_REDIRECT_FROM", "NGINX_SERVER_NAME"):
        app.does("config:unset", name)
    assert not with_text(asked(app, "/fine"), "")


def test_a_proxy_that_speaks_http(app: App) -> None:
    """Cloudflare's "flexible" mode, in front of an app that is served by https alone."""
    server = app.server
    app.does(
        "config:set",
        "NGINX_HTTPS_ONLY=true",
        "NGINX_SERVER_NAME=shop.piku-doctor.dev",
        "ACME_ROOT_CA=https://127.0.0.1:1/d",
    )
    (server.home / "hosts").write_text("104.16.1.1 shop.piku-doctor.dev\n")
    script = f"mount --bind hosts /etc/hosts; {EXAMINE.replace('doctor', 'doctor visited')}"
    (found,) = reports(elsewhere(server, script))
    text = "NGINX_HTTPS_ONLY sends http to https: a proxy that speaks http to this server goes round for ever"
    the_one(found, text, severity="warning", fix="SSL/TLS mode Full")
    # The name of a host that stands in its own list of hosts is no proxy.
    (server.home / "hosts").write_text("127.0.1.1 shop.piku-doctor.dev\n")
    (found,) = reports(elsewhere(server, script))
    assert not with_text(found, "goes round for ever") and not with_text(found, "not this host")
    (server.home / "hosts").write_text("104.16.1.1 shop.piku-doctor.dev\n")
    app.does("config:unset", "NGINX_HTTPS_ONLY")
    (found,) = reports(elsewhere(server, script))
    assert not with_text(found, "goes round for ever")
    app.does("config:unset", "NGINX_SERVER_NAME", "ACME_ROOT_CA")


def test_stopped_in_maintenance_and_guarded(app: App) -> None:
    server = app.server
    app.does("stop")
    mended(
        server,
        sees(
            server,
            "nginx answers 503, for visited is stopped",
            "visited",
            fix="piku restart visited",
        ),
    )
    sees_no_more(server, "503", "visited")
    app.does("maintenance:on")
    sees(
        server,
        "it is in maintenance since ",
        severity="warning",
        fix="piku maintenance:off visited",
    )
    finding = sees(
        server,
        "nginx answers 503, for visited is in maintenance since ",
        "visited",
        severity="warning",
    )
    mended(server, finding)
    sees_no_more(server, "503", "visited")
    sees_no_more(server, "it is in maintenance")
    app.does("config:set", "NGINX_BASIC_AUTH=a:{SSHA}0+vqiBWKb9LMCBTQPwSdVLIATWpzYWx0")
    assert all("NGINX_BASIC_AUTH" in f["what"] and f["severity"] == "ok" for f in asked(app, "/"))
    app.does("config:unset", "NGINX_BASIC_AUTH")
    app.does("config:set", "NGINX_RATE_LIMIT=1/m")
    app.server.wait(lambda: app.status() == 429)
    found = [f["what"] for f in asked(app, "/") if f["severity"] == "ok"]
    assert any("NGINX_RATE_LIMIT lets in no more requests" in what for what in found), found
    app.does("config:unset", "NGINX_RATE_LIMIT")
    app.does("config:set", "NGINX_CLOUDFLARE_ACL=true", "PIKU_CLOUDFLARE_API=https://127.0.0.1:1/")
    assert all(
        "NGINX_CLOUDFLARE_ACL" in f["what"] and f["severity"] == "ok" for f in asked(app, "/")
    )
    app.does("config:unset", "NGINX_CLOUDFLARE_ACL", "PIKU_CLOUDFLARE_API")


def test_an_app_that_sleeps_is_woken(clinic: Sandbox, new_app: NewApp) -> None:
    sleeper = new_app("drowsy", patient("drowsy", "UWSGI_IDLE=1\n"), on=clinic)

    def asleep() -> bool:
        clinic.piku("housekeeping")
        return sleeper.ps()["web.1"]["state"] == "asleep"

    clinic.wait(asleep, timeout=30)
    assert not with_text(examined(clinic), "drowsy")
    assert sleeper.ps()["web.1"]["state"] == "asleep"  # all apps are looked at, and none is asked
    assert not with_text(examined(clinic, "drowsy"), "")
    assert sleeper.ps()["web.1"]["state"] == "up"
    clinic.wait(asleep, timeout=30)
    sleeper.data.mkdir(exist_ok=True)
    (sleeper.data / "how").write_text("exit")
    finding = the_one(asked(sleeper, "/"), "web.1 keeps ending with exit code 7")
    assert "there is no database" in finding["detail"]
    (sleeper.data / "how").unlink()
    sleeper.does("restart")
    assert not with_text(asked(sleeper, "/"), "")


def test_static_sites(clinic: Sandbox, new_app: NewApp) -> None:
    files = {
        "Procfile": "static: public\n", "ENV": "NGINX_SERVER_NAME=pages.localhost\n",
        "public/index.html": "front", "public/empty/x": "x", "public/secret": "s",
    }  # fmt: skip
    pages = new_app("pages", files, on=clinic)
    public = clinic.root / "apps" / "pages" / "public"
    assert not with_text(asked(pages, "/"), "")
    the_one(
        asked(pages, "/about"),
        f"there is no file {public}/about",
        severity="warning",
        fix="NGINX_CATCH_ALL=/index.html",
    )
    the_one(
        asked(pages, "/empty/"), f"the folder {public}/empty has no index.html", severity="warning"
    )
    pages.does("config:set", "NGINX_CATCH_ALL=/index.html")
    assert not with_text(asked(pages, "/about"), "")
    pages.does("config:set", "NGINX_CATCH_ALL=/none.html")
    finding = the_one(
        asked(pages, "/about"), "and none of NGINX_CATCH_ALL=/none.html either", severity="warning"
    )
    assert finding["fix"] == "add the one that answers for all others, and push"
    (public / "secret").chmod(0)
    the_one(
        asked(pages, "/secret"),
        f"nginx may not read {public}/secret",
        fix=f"chmod -R u+rX {public}/secret",
    )
    mended(clinic, the_one(asked(pages, "/secret"), "may not read"))
    assert not with_text(asked(pages, "/secret"), "")


SLOW = """\
import time

def app(environ, start_response):
    time.sleep(2 if environ["PATH_INFO"] == "/slow" else 0)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_a_queue_that_is_full(clinic: Sandbox, new_app: NewApp) -> None:
    settings = "UWSGI_LISTEN=1\nUWSGI_THREADS=1\nNGINX_SERVER_NAME=queue.localhost\n"
    files = {"Procfile": "wsgi: app:app\n", "app.py": SLOW, "ENV": settings}
    queue = new_app("queue", files, on=clinic)
    assert not with_text(asked(queue, "/"), "")
    seen = threading.Event()

    def come_again() -> None:
        while not seen.is_set():
            queue.status("/slow")

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(come_again)
        try:
            full = clinic.wait(
                lambda: with_text(asked(queue, "/"), "the app's queue is full"), timeout=30
            )
        finally:
            seen.set()
    assert "UWSGI_PROCESSES" in full[0]["fix"]
    assert not with_text(asked(queue, "/"), "")
