"""Processes of an app: seeing, scaling, stopping, logs, one-off commands, and the end of an app."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import WEB, WORKER, App, refused, web


@pytest.fixture(scope="module")
def app(new_app: Callable[..., App]) -> App:
    files = {
        **web("many", procfile="worker: exec python3 -IS worker.py\n", version_txt="one"),
        "worker.py": WORKER,
    }
    return new_app("many", files)


def test_ps_shows_what_runs(app: App) -> None:
    head, *rows = (line.split() for line in app.asked("ps").stdout.splitlines())
    assert head[:6] == ["PROCESS", "RELEASE", "PID", "STATE", "UPTIME", "MEMORY"]
    assert [row[0] for row in rows] == ["web.1", "worker.1"]
    assert [row[3] for row in rows] == ["up", "up"]
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
    assert {name: after[name]["pid"] for name in before} == {name: before[name]["pid"] for name in before}
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
    app.does("ps:scale", "web=1", "worker=1")
    assert app.body() == "two"


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
    assert "is stopped" in app.says("ps").stderr
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


def test_run(app: App) -> None:
    assert app.asked("run", "exit 7").returncode == 7
    assert app.asked("run", "no-such-program").returncode == 127
    result = app.asked("run", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert app.asked("run", "cat", input="first\nsecond\n").stdout == "first\nsecond\n"
    # Several words are a program and its arguments, as they are.
    assert app.asked("run", "printf", "%s|", "a b", "$HOME", "*").stdout == "a b|$HOME|*|"
    assert app.asked("run", "ls", "-a", "version.txt").stdout == "version.txt\n"
    assert app.asked("run", "--", "echo", "--help").stdout == "--help\n"
    assert app.asked("run", "pwd").stdout.strip() == app.about()["cwd"]
    assert app.asked("run", "kill -9 $$").returncode in (137, 255)
    refused(app.says("run"), 2)


def test_run_with_a_terminal(app: App) -> None:
    result = app.asked(
        "run",
        "test -t 0 && test -t 1 && echo a terminal; stty -echo; read line; echo got $line",
        input="typed\n",
        tty=True,
    )
    assert result.returncode == 0
    assert "a terminal" in result.stdout
    assert "got typed" in result.stdout


def test_logs(app: App) -> None:
    app.body("/log?first=1&last=30&text=alpha")
    shown = app.does("logs", "-n", "5", "--no-follow").splitlines()
    assert [line for line in shown if line.startswith("web.1")] == [
        f"web.1 | line {number} of alpha" for number in range(26, 31)
    ]
    assert app.does("logs", "web", "-n", "1", "--no-follow").startswith("web.1 | line 30 of alpha\n")
    assert app.does("logs", "web.1", "-n", "1", "--no-follow") == "web.1 | line 30 of alpha\n"
    assert app.does("logs", "web", "-n", "0", "--no-follow") == ""
    assert "Release v" in app.does("logs", "build", "--no-follow")
    refused(app.says("logs", "nope", "--no-follow"), 1, "'nope'", "web.1")
    refused(app.says("logs", "-n", "x"), 2)
    file = app.server.root / "logs" / app.name / "web.1.log"
    assert file.stat().st_mode & 0o777 == 0o640


def follow(app: App, *args: str) -> "subprocess.Popen[str]":
    command = ["ssh", *app.server.ssh_options(), app.server.address, "logs", app.name, *args]
    return subprocess.Popen(
        command, env=app.server.client_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def test_following_survives_rotation_and_a_deploy(new_app: Callable[..., App]) -> None:
    app = new_app("follow", web("follow", env="UWSGI_LOG_MAXSIZE=4096\n"))
    app.body("/log?first=0&last=0&text=before")
    logs = app.server.root / "logs" / "follow"
    with follow(app, "-n", "1") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "web.1 | line 0 of before\n"
        seen: list[str] = []

        def read_to(last: str) -> None:
            for line in client.stdout or ():
                seen.append(line.rstrip("\n"))
                if line.endswith(f"{last}\n"):
                    return

        for batch in range(3):
            app.body(f"/log?first={batch * 300 + 1}&last={batch * 300 + 300}&text=many")
            read_to(f"line {batch * 300 + 300} of many")
        many = [int(found[1]) for line in seen if (found := re.search(r"line (\d+) of many", line))]
        assert many == list(range(1, 901))
        # It was rotated, and neither file grows without end.
        app.server.wait(lambda: (logs / "web.1.log.old").exists(), what="the log is rotated")
        assert app.body("/log?first=1&last=1&text=after") == "logged"
        read_to("line 1 of after")

        app.commit(version_txt="two")
        app.deployed()
        app.body("/log?first=1&last=1&text=release-two")
        read_to("line 1 of release-two")
        assert "web.1 | two listens" in seen
        client.terminate()
    # Whoever follows and goes away leaves nothing behind.
    app.server.wait(
        lambda: not [p for p in app.server.processes() if "logs follow" in str(p)], what="logs ends"
    )
    size = sum(path.stat().st_size for path in logs.glob("web.1*"))
    app.body("/log?first=1&last=2000&text=flood")
    app.server.wait(lambda: "line 2000 of flood" in app.does("logs", "-n", "1", "--no-follow"))
    app.server.wait(
        lambda: (log := (logs / "web.1.log").resolve()).exists() and log.stat().st_size < 20_000,
        timeout=5,
        what="the log is small again",
    )
    assert size < 100_000


def test_destroy(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("doomed")
    app.body("/log?first=1&last=1&text=x")
    (app.data / "photo.txt").write_text("precious")
    cache = server.root / "cache" / "doomed"
    cache.mkdir(parents=True)
    (cache / "wheel").write_text("costly")
    app.does("config:set", "API_TOKEN=tok-doomed")

    # On a terminal it asks for the name.
    for answer in ("y\n", "doome\n", "\n"):
        result = app.asked("destroy", input=answer, tty=True)
        assert result.returncode == 1
        assert "Type its name" in result.stdout and "nothing was removed" in result.stdout
        assert app.body() == "one"
    result = app.asked("destroy", input="doomed\n", tty=True)
    assert result.returncode == 0, result.stdout
    assert f"Kept: {app.data}" in result.stdout and f"Kept: {cache}" in result.stdout
    assert (app.data / "photo.txt").read_text() == "precious"
    assert (cache / "wheel").read_text() == "costly"

    assert "doomed" not in server.piku("apps").stdout.split()
    left = {str(path.relative_to(server.root)) for path in server.root.rglob("*doomed*")}
    assert left == {"data/doomed", "cache/doomed", "releases/doomed@lock"}
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
