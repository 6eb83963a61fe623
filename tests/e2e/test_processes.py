"""Processes of an app: seeing, scaling, stopping, and the end of an app."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import NO_EXTRAS, WEB, WORKER, App, refused, web, wsgi


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    files = {
        **web("many", procfile="worker: exec python3 -IS worker.py\n", version_txt="one"),
        "worker.py": WORKER,
    }
    return new_app("many", files)


def test_ps_shows_what_runs(app: App) -> None:
    head, *rows = (line.split() for line in app.asked("ps").stdout.splitlines())
    assert head[:7] == ["APP", "PROCESS", "RELEASE", "PID", "STATE", "UPTIME", "MEMORY"]
    assert [row[1] for row in rows] == ["web.1", "worker.1"]
    assert [row[4] for row in rows] == ["up", "up"]
    found = app.ps()
    assert found["web.1"]["pid"] == app.about()["pid"]
    assert found["web.1"]["address"] == f"127.0.0.1:{app.about()['env']['PORT']}"
    worker = Path(f"/proc/{found['worker.1']['pid']}/cmdline").read_bytes()
    assert b"worker.py" in worker
    for row in found.values():
        assert row["release"] == app.live()
        assert 1_000_000 < row["memory"] < 100_000_000
        assert 0 <= row["uptime"] < 120
    # What dies is started again.
    died = found["worker.1"]["pid"]
    os.kill(died, 9)
    app.server.wait(lambda: (row := app.ps()["worker.1"])["state"] == "up" and row["pid"] != died)


def test_scaling_touches_only_what_it_must(app: App) -> None:
    before = app.ps()
    app.does("ps:scale", "web=3")
    after = app.ps()
    assert sorted(after) == ["web.1", "web.2", "web.3", "worker.1"]
    assert {name: after[name]["pid"] for name in before} == {
        name: before[name]["pid"] for name in before
    }
    pids = {after[f"web.{number}"]["pid"] for number in (1, 2, 3)}
    assert {app.about()["pid"] for _ in range(12)} == pids
    assert len({row["address"] for name, row in after.items() if "web" in name}) == 3
    scaling = (app.server.root / "envs" / app.name / "SCALING").read_text().split()
    assert set(scaling) == {"web=3", "worker=1"} or set(scaling) == {"web:3", "worker:1"}

    # The counts are the app's, and survive releases.
    releases = len(app.releases())
    app.commit(version_txt="two")
    app.deployed()
    assert len(app.releases()) == releases + 1
    assert sorted(app.ps()) == ["web.1", "web.2", "web.3", "worker.1"]
    first = app.ps()["web.1"]["pid"]
    app.does("ps:scale", "web=1")
    assert sorted(app.ps()) == ["web.1", "worker.1"]
    assert {app.about()["pid"] for _ in range(6)} == {first}

    app.does("ps:scale", "web=0", "worker=2")
    assert sorted(app.ps()) == ["worker.1", "worker.2"]
    assert app.status() == 503
    app.does("ps:scale", "web=1", "worker=2")
    assert app.body() == "two"

    # A rollback takes back code and settings, and no counts.
    app.does("rollback")
    assert app.body() == "one"
    assert sorted(app.ps()) == ["web.1", "worker.1", "worker.2"]
    before = app.ps()
    app.does("ps:scale", "worker=1")
    after = app.ps()
    assert {name: row["pid"] for name, row in after.items()} == {
        name: before[name]["pid"] for name in ("web.1", "worker.1")
    }


def test_scaling_what_uwsgi_serves(new_app: Callable[..., App]) -> None:
    app = new_app("farm", wsgi("farm"))
    first = app.about()["pid"]
    app.does("ps:scale", "wsgi=3")
    assert sorted(app.ps()) == ["wsgi.1", "wsgi.2", "wsgi.3"]
    pids = {app.about()["pid"] for _ in range(12)}
    assert len(pids) == 3 and first in pids
    app.does("restart")
    assert len({app.about()["pid"] for _ in range(12)}) == 3
    app.does("ps:scale", "wsgi=0")
    assert app.ps() == {} and app.status() == 503
    app.does("ps:scale", "wsgi=1")
    assert app.status() == 200


def test_bad_counts_change_nothing(app: App) -> None:
    before = app.ps()
    for text in ("web", "web=", "web=-1", "web=x", "web=1.5", "web=1000", "=2", "web=²"):
        refused(app.says("ps:scale", text), 2, "PROCESS=COUNT")
    for text in ("nope=1", "release=1", "static=1", "WEB=2"):
        refused(app.says("ps:scale", "worker=3", text), 1, repr(text.partition("=")[0]))
    refused(app.says("ps:scale"), 2)
    assert {name: row["pid"] for name, row in app.ps().items()} == {
        n: row["pid"] for n, row in before.items()
    }


def test_stop_and_restart(app: App) -> None:
    pids = [row["pid"] for row in app.ps().values()]
    assert "piku restart many" in app.does("stop")
    assert app.status() == app.status(https=True) == 503
    assert app.ps() == {}
    assert " stopped " in app.says("ps").stdout
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert "does not run" in app.does("stop")
    # A command still runs in it, and so do settings; neither starts it.
    assert app.does("run", "echo $APP") == "many\n"
    app.does("config:set", "WHILE=stopped")
    assert app.ps() == {}
    app.does("restart")
    assert app.about()["env"]["WHILE"] == "stopped"
    assert sorted(app.ps()) == ["web.1", "worker.1"]
    pid = app.about()["pid"]
    app.does("restart")
    assert app.about()["pid"] != pid


def test_what_has_become_wrong_meanwhile_keeps_nobody_from_stopping(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    procfile = "worker: sleep 600\nstatic: public\n"
    app = new_app(
        "stubborn", web("stubborn", procfile=procfile, **{"public/a_txt": "a"}), on=own_server
    )
    (own_server.root / "ENV").write_text("UWSGI_THREADS=many\n")
    public = (own_server.root / "apps" / "stubborn").resolve() / "public"
    public.rename(public.with_name("gone"))
    refused(app.says("restart"), 1, "UWSGI_THREADS")
    refused(app.says("ps:scale", "worker=0"), 1, "UWSGI_THREADS")
    public.with_name("gone").rename(public)
    app.does("stop")
    assert app.ps() == {} and app.status() == 503
    (own_server.root / "ENV").unlink()
    app.does("restart")
    assert sorted(app.ps()) == ["web.1", "worker.1"] and app.status() == 200


def test_destroy(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("doomed")
    app.body("/log?first=1&last=1&text=x")
    (app.data / "photo.txt").write_text("precious")
    cache = server.root / "cache" / "doomed"
    cache.mkdir(parents=True)
    (cache / "wheel").write_text("costly")
    app.does("config:set", "API_TOKEN=tok-doomed")

    # It asks for the name, on a terminal and without.
    for answer in ("y\n", "doome\n", "\n"):
        for tty in (True, False):
            result = app.asked("destroy", input=answer, tty=tty)
            said = result.stdout + result.stderr
            assert result.returncode == 1
            assert "Type its name" in said and "that is not its name: nothing was removed" in said
    result = app.asked("destroy", input="")
    assert result.returncode == 1 and "that is not its name: nothing was removed" in result.stderr
    assert "piku destroy doomed --force" in result.stderr
    assert app.body() == "one"
    result = app.asked("destroy", input="doomed\n", tty=True)
    assert result.returncode == 0, result.stdout
    assert f"Kept: {app.data}" in result.stdout and f"Kept: {cache}" in result.stdout
    assert (app.data / "photo.txt").read_text() == "precious"
    assert (cache / "wheel").read_text() == "costly"

    assert "doomed" not in server.piku("apps").stdout.split()
    left = {str(path.relative_to(server.root)) for path in server.root.rglob("*doomed*")}
    assert left == {"data/doomed", "cache/doomed"}
    assert not [process for process in server.processes() if "/doomed" in str(process)]
    with pytest.raises(ConnectionError):
        app.status()
    refused(app.says("destroy", "--force"), 1, "no app called 'doomed'")

    # The name is free, and the data is there again.
    server.push(app.repository, "doomed")
    assert app.body() == "one"
    assert app.body(f"/read?file={app.data}/photo.txt") == "precious"
    assert app.releases()[0]["number"] == 1
    assert app.does("config") == ""
    app.does("destroy", "--force")
    assert "doomed" not in server.piku("apps").stdout.split()


def test_apps_whose_names_begin_alike(new_app: Callable[..., App], server: Sandbox) -> None:
    names = ("foo", "foobar", "foo.web")
    foo, *others = (new_app(name) for name in names)
    assert set(names) <= set(server.piku("apps").stdout.split())

    def state() -> list[tuple[str, int, int]]:
        return [(other.body(), other.about()["pid"], len(other.releases())) for other in others]

    before = state()
    foo.does("stop")
    assert foo.status() == 503
    assert state() == before
    foo.does("restart")
    foo.commit(Procfile=WEB + "worker: sleep 1000\n", version_txt="two")
    foo.deployed()
    assert state() == before
    foo.does("destroy", "--force")
    assert state() == before
    assert [list(other.ps()) for other in others] == [["web.1"]] * 2
    assert "one listens" in others[0].does("logs", "--no-follow")
    others[0].does("restart")
    assert others[0].body() == "one"


def test_the_workers_of_a_first_release(new_app: Callable[..., App]) -> None:
    """One that has done its work is left out; one that fails can be scaled to 0 from the start."""
    procfile = "once: echo done\nworker: exec python3 -IS worker.py\nbroken: exit 3\n"
    app = new_app(
        "starting", {**web("starting", procfile=procfile), "worker.py": WORKER}, push=False
    )
    said = "\n".join(app.failed())
    assert "broken.1 ended with exit code 3 right after it was started" in said
    assert "piku ps:scale starting broken=0" in said
    app.does("ps:scale", "broken=0")
    said = "\n".join(app.deployed())
    assert "once has ended with exit code 0, so it is scaled to 0 now" in said
    assert set(app.ps()) == {"web.1", "worker.1"}
    app.does("restart")
    assert set(app.ps()) == {"web.1", "worker.1"}
    # Of a later release it is a failure, and what the push advises helps.
    app.commit(Procfile=f"{WEB}late: echo done\n")
    said = "\n".join(app.failed())
    assert "late.1 ended with exit code 0" in said
    assert "piku ps:scale starting late=0" in said
    assert "no late yet: kept for a later release" in app.does("ps:scale", "late=0")
    app.deployed()
    assert set(app.ps()) == {"web.1"}


def test_no_command_line_has_a_secret(new_app: Callable[..., App]) -> None:
    commands = "preflight: sleep 0.2\nrelease: sleep 0.2\ncron-tidy: @daily sleep 0.1\n"
    app = new_app("unseen", wsgi("unseen", procfile=commands), push=False)
    ended, seen = threading.Event(), set[str]()
    secret, shown = "tok-unseen-4711", "tok-shown-0815"

    def watch() -> None:
        while not ended.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    seen.update({line} if secret in line or shown in line else ())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert app.asked("config:set", "API_TOKEN", input=f"{secret}\n").returncode == 0
        app.deployed()
        assert app.about()["env"]["API_TOKEN"] == secret
        app.does("restart")
        assert app.does("run", "sleep 0.1; printenv API_TOKEN") == f"{secret}\n"
        if not NO_EXTRAS:
            app.does("cron:run", "tidy")
        app.does("config:set", f"PLAIN={shown}")
        app.does("rollback")
    finally:
        ended.set()
        watcher.join()
    assert [line for line in seen if shown in line], "what is on a command line would be seen"
    assert not [line for line in seen if secret in line]
