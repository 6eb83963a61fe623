"""What can be wrong with apps: each fault made, found, fixed and gone; and answers explained."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Sandbox, free_ports

from tests.e2e.conftest import NewApp, started
from tests.e2e.support import App, refused, web, wsgi
from tests.extras.doctor.support import Finding, examined, faults, follow, sees, sees_no_more

PATIENT = Path(__file__).with_name("patient.py").read_text()


@pytest.fixture(scope="module")
def ward() -> Iterator[Sandbox]:
    """A server whose apps are ill."""
    for server in started():
        server.wait((server.root / "nginx" / "nginx.pid").exists)
        yield server


@pytest.fixture(scope="module")
def app(ward: Sandbox) -> App:
    ports = f"HTTP={ward.http_port}\nHTTPS={ward.https_port}\n"
    found = App(
        server=ward,
        name="visited",
        repository=ward.repository("visited", patient("visited", ports)),
    )
    found.deployed()
    return found


def patient(name: str, env: str = "", procfile: str = "") -> dict[str, str]:
    start = f"web: exec python3 -IS server.py\n{procfile}"
    return {**web(name, env=env), "Procfile": start, "server.py": PATIENT}


def ill(app: App, how: str) -> None:
    """Have the app start in this way from now on, and end the process that runs."""
    app.data.mkdir(exist_ok=True)
    (app.data / "how").write_text(how)
    os.kill(app.ps()["web.1"]["pid"], signal.SIGKILL)


def stays(server: Sandbox, text: str) -> list[Finding]:
    """What the doctor sees of it for good: after its first end, what starts again and again looks
    well for a moment each time."""
    found = faults(server)
    return [one for one in found if text in one["what"] and "(1 restart)" not in one["what"]]


def visit(app: App, url: str) -> list[Finding]:
    found = examined(app.server, app.name, "--url", url)
    return [one for one in found if one["check"] == "visit"]


def explained(
    app: App, url: str, text: str, *, severity: str = "problem", fix: str = ""
) -> Finding:
    (found,) = [one for one in visit(app, url) if one["severity"] != "ok"] or [{}]
    assert text in found["what"], found
    assert (found["severity"], fix in found["fix"]) == (severity, True), found
    return found


def test_releases(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("rel", patient("rel"), on=ward, push=False)
    ward.commit(app.repository, {"Procfile": "preflight: exit 9\nweb: exec python3 server.py\n"})
    app.failed()
    finding = sees(ward, "its last deploy failed: v1, ", "rel", fix="piku logs rel build")
    assert "nothing runs" in finding["what"]
    ward.commit(app.repository, {"Procfile": "web: exec python3 server.py\n"})
    app.deployed()
    sees_no_more(ward, "last deploy", "rel")
    settings = ward.root / "envs" / "rel" / "ENV"
    settings.write_text("NGINX_HTTPS_ONLY=maybe\n")
    sees(ward, "NGINX_HTTPS_ONLY=maybe", "rel")
    settings.unlink()
    live = ward.root / "releases" / "rel" / "live.json"
    text = live.read_text()
    live.write_text("{")
    sees(ward, "live.json is damaged", "rel")
    live.write_text(text)
    sees_no_more(ward, "is damaged", "rel")


def test_processes(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("proc", patient("proc", procfile="worker: exec sleep 1000\n"), on=ward)
    address, [other] = app.ps()["web.1"]["address"], free_ports(1)
    for how, text, fix in (
        (str(other), f"web.1 listens at 127.0.0.1:{other}, not at {address}", "listen on $PORT"),
        ("exit", "web.1 keeps crashing", "piku logs proc"),
    ):
        ill(app, how)
        ward.wait(lambda text=text: stays(ward, text), timeout=30)  # type: ignore[misc]
        finding = sees(ward, text, fix=fix)
        assert finding["check"] == "processes"
        # Requested from outside, nginx's 502 has the same cause.
        ward.wait(lambda text=text: text in visit(app, "/")[0]["what"], timeout=30)  # type: ignore[misc]
    ward.wait(lambda: "there is no database" in json.dumps(faults(ward, "proc")), timeout=20)
    (app.data / "how").unlink()
    app.does("restart")
    assert faults(ward, "proc") == []

    (vassal,) = (ward.root / "uwsgi-enabled").glob("proc@*.worker.1.ini")
    vassal.resolve().unlink()
    ward.wait(lambda: faults(ward, "proc"), timeout=20)
    follow(ward, sees(ward, "worker.1 does not run", "proc", fix="piku restart proc"))
    sees_no_more(ward, "does not run", "proc")


def test_a_rollback_ends_a_crash_loop(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("back", patient("back"), on=ward)
    server = PATIENT.replace('if how == "exit"', 'if DATA.joinpath("bad").exists()')
    app.commit(server_py=server)
    app.deployed()
    app.data.mkdir(exist_ok=True)
    (app.data / "bad").touch()
    os.kill(app.ps()["web.1"]["pid"], signal.SIGKILL)
    ward.wait(lambda: stays(ward, "web.1 keeps crashing"), timeout=30)
    follow(ward, sees(ward, "web.1 keeps crashing", fix="piku rollback back v1"))
    assert faults(ward, "back") == []


def test_a_crash_loop_while_an_old_process_is_stopping(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("loop", patient("loop", "PIKU_STOP_TIMEOUT=120\n"), on=ward)
    before = app.ps()["web.1"]["pid"]
    ill(app, "stubborn")
    ward.wait(lambda: app.ps()["web.1"]["pid"] not in (0, before))
    ward.wait(lambda: app.status() == 200)

    def rows() -> dict[str, int]:
        return {row["state"]: row["pid"] for row in json.loads(app.does("ps", "--json"))}

    (app.data / "how").unlink()
    app.does("restart")
    ward.wait(lambda: set(rows()) == {"up", "stopping"}, timeout=60)
    (app.data / "how").write_text("exit")
    os.kill(rows()["up"], signal.SIGKILL)
    ward.wait(lambda: set(rows()) == {"crashing", "stopping"}, timeout=30)
    ward.wait(lambda: stays(ward, "web.1 keeps crashing"), timeout=30)
    sees(ward, "web.1 keeps crashing")
    os.kill(rows()["stopping"], signal.SIGKILL)
    (app.data / "how").unlink()
    app.does("restart")


def test_a_missing_socket(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("plug", wsgi("plug"), on=ward)
    (ward.root / "nginx" / "plug.sock").unlink()
    explained(app, "/", "plug.sock", fix="piku restart plug")
    follow(ward, sees(ward, "the socket of wsgi.1"))
    assert faults(ward, "plug") == []


def test_jobs(ward: Sandbox, new_app: NewApp) -> None:
    job = "cron-backup: @monthly test -e $DATA_ROOT/disk\n"
    app = new_app("jobber", patient("jobber", procfile=job), on=ward)
    assert app.says("cron:run", "backup").returncode == 1
    fix = "piku logs jobber cron-backup"
    sees(ward, "cron-backup failed with exit code 1 at ", severity="warning", fix=fix)
    (app.data / "disk").touch()
    app.does("cron:run", "backup")
    sees_no_more(ward, "cron-backup failed")


def test_an_app_without_a_name(ward: Sandbox, new_app: NewApp) -> None:
    app = new_app("anon", {**patient("anon"), "ENV": ""}, on=ward)
    fix = "piku config:set anon NGINX_SERVER_NAME="
    sees(ward, "it has no host name", "anon", severity="warning", fix=fix)
    assert [one for one in faults(ward) if one["app"] == "anon"] == []
    app.does("config:set", "NGINX_SERVER_NAME=anon.localhost")
    assert faults(ward, "anon") == []


# --- answers -------------------------------------------------------------------------------------


def test_a_good_answer(app: App) -> None:
    http, https = app.server.http_port, app.server.https_port
    (finding,) = visit(app, "/fine?x=1")
    urls = [
        f"http://visited.localhost:{http}/fine?x=1",
        f"https://visited.localhost:{https}/fine?x=1",
    ]
    assert finding["what"] == f"{' and '.join(urls)}: answers 200"
    for wrong in ("ftp://visited.localhost/", "nonsense", "http://[", "http:///x"):
        refused(
            app.server.piku("doctor", "visited", "--url", wrong),
            2,
            "is neither a path nor an address",
        )


@pytest.mark.parametrize(
    ("path", "severity", "text", "fix"),
    [
        ("/exit", "problem", "the app closed the connection without an answer", "piku logs visited"),
        ("/cookies", "problem", "the headers of the app's answer exceed 32 KB", "smaller cookies"),
        ("/raw", "problem", "does not speak HTTP", "have the program speak HTTP"),
        ("/stuck", "problem", "no answer within 10 s", "piku logs visited"),
        ("/status/500", "problem", "the app itself returned 500", "piku logs visited"),
        ("/status/502", "problem", "the app itself returned 502", "piku logs visited"),
        ("/status/404", "warning", "the app itself returned 404", "have the app answer"),
        ("/round", "problem", "its redirects never end", "redirect to one name only"),
        ("/secure", "problem", "its redirects never end", "X-Forwarded-Proto"),
    ],
)  # fmt: skip
def test_what_the_app_does(app: App, path: str, severity: str, text: str, fix: str) -> None:
    finding = explained(app, path, text, severity=severity, fix=fix)
    app.server.wait(lambda: [one["severity"] for one in visit(app, "/fine")] == ["ok"], timeout=20)
    if path == "/status/500":
        # uWSGI writes the log by a thread of its own, which may come after the answer.
        def detail() -> str:
            return str(explained(app, path, text, severity=severity, fix=fix)["detail"])

        app.server.wait(lambda: "answers 500 for a reason" in detail())
    if path == "/round":
        assert "/round/again → " in finding["detail"][0]


def test_settings_that_explain_an_answer(app: App) -> None:
    server = app.server
    app.does("config:set", "NGINX_PROXY_TIMEOUT=1")
    explained(app, "/hang", "the app did not answer within 1 s", fix="NGINX_PROXY_TIMEOUT=300")
    app.does("config:unset", "NGINX_PROXY_TIMEOUT")
    app.does("config:set", "NGINX_HTTPS_ONLY=true")
    follow(
        server, explained(app, "/plain", "its redirects never end", fix="NGINX_HTTPS_ONLY=false")
    )
    assert visit(app, "/plain")[0]["severity"] == "problem"  # the app's own loop by https
    app.does("config:unset", "NGINX_HTTPS_ONLY")
    for setting in (
        "NGINX_BASIC_AUTH=a:{SSHA}0+vqiBWKb9LMCBTQPwSdVLIATWpzYWx0",
        "NGINX_RATE_LIMIT=1/m",
    ):
        name = setting.partition("=")[0]
        app.does("config:set", setting)
        if name == "NGINX_RATE_LIMIT":
            server.wait(lambda: app.status() == 429)
        assert all(name in one["what"] and one["severity"] == "ok" for one in visit(app, "/"))
        app.does("config:unset", name)


def test_a_name_that_no_app_has(app: App) -> None:
    for scheme in ("http", "https"):
        url = f"{scheme}://www.visited.localhost:{getattr(app.server, f'{scheme}_port')}/x"
        finding = explained(app, url, "it knows no such name")
        assert finding["fix"].endswith("NGINX_SERVER_NAME=visited.localhost,www.visited.localhost")
    follow(app.server, finding)
    assert [one["severity"] for one in visit(app, url)] == ["ok"]
    app.does("config:unset", "NGINX_SERVER_NAME")


def test_stopped_or_in_maintenance(app: App) -> None:
    app.does("stop")
    follow(app.server, explained(app, "/", "nginx answers 503: the app is stopped"))
    app.does("maintenance:on")
    fix = "piku maintenance:off visited"
    sees(app.server, "it is in maintenance since ", severity="warning", fix=fix)
    follow(
        app.server, explained(app, "/", "503: it is in maintenance", severity="warning", fix=fix)
    )
    assert faults(app.server, "visited") == []


def test_static_sites(ward: Sandbox, new_app: NewApp) -> None:
    files = {
        "Procfile": "static: public\n", "ENV": "NGINX_SERVER_NAME=pages.localhost\n",
        "public/index.html": "front", "public/secret": "s",
    }  # fmt: skip
    pages = new_app("pages", files, on=ward)
    public = ward.root / "apps" / "pages" / "public"
    explained(pages, "/about", f"there is no such file in {public}", severity="warning")
    (public / "secret").chmod(0)
    follow(
        ward,
        explained(pages, "/secret", f"nginx may not read {public}/secret", fix="chmod -R u+rX"),
    )
    assert faults(ward, "pages", "--url", "/secret") == []


SLOW = """\
import time

def app(environ, start_response):
    time.sleep(2 if environ["PATH_INFO"] == "/slow" else 0)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_a_full_queue(ward: Sandbox, new_app: NewApp) -> None:
    settings = "UWSGI_LISTEN=1\nUWSGI_THREADS=1\nNGINX_SERVER_NAME=queue.localhost\n"
    queue = new_app(
        "queue", {"Procfile": "wsgi: app:app\n", "app.py": SLOW, "ENV": settings}, on=ward
    )
    seen = threading.Event()

    def keep_asking() -> None:
        while not seen.is_set():
            queue.status("/slow")

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(keep_asking)
        try:
            ward.wait(lambda: "the app's queue is full" in visit(queue, "/")[0]["what"], timeout=30)
        finally:
            seen.set()
