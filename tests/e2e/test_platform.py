"""The platform itself: setting up, starting, stopping, and coming back after the worst."""

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import HOST, Sandbox, free_ports, run, tail

from tests.e2e.support import CHECKOUT, WORKER, App, refused, snapshot, succeeded, web, wsgi


def unchanged(root: Path) -> dict[str, str]:
    """All files but the log of commands."""
    return {path: state for path, state in snapshot(root).items() if "/audit.lo" not in path}


def test_setup_is_safe_to_run_again(server: Sandbox) -> None:
    other = {"PIKU_ROOT": str(server.base / "fresh")}
    root = server.base / "fresh"
    made = server.piku("setup", env=other)
    assert made.returncode == 0
    folders = [
        "acme",
        "apps",
        "cache",
        "data",
        "envs",
        "logs",
        "nginx",
        "plugins",
        "repos",
        "uwsgi",
        "uwsgi-available",
        "uwsgi-enabled",
    ]
    for folder in folders:
        assert (root / folder).is_dir()
        assert stat.S_IMODE((root / folder).stat().st_mode) & 0o007 == 0
    assert (root / "uwsgi" / "uwsgi.ini").is_file()
    assert (root / "ENV").stat().st_mode & 0o777 == 0o600
    (root / "ENV").write_text("KEPT=1\n")
    before = unchanged(root)
    again = server.piku("setup", env=other)
    assert again.returncode == 0
    assert "made:" not in again.stdout
    assert unchanged(root) == before


def test_two_of_a_root_exclude_each_other(server: Sandbox) -> None:
    """`piku up` holds the locks of both services."""
    for command in (["up"], ["serve:nginx"], ["serve:emperor"]):
        refused(server.piku(*command), 1, "piku is already running on this root", "systemctl stop")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_stops_all_that_it_started(server: Sandbox, number: signal.Signals) -> None:
    root = server.base / f"up-{number}"
    http_port, https_port = free_ports(2)
    command = [
        f"{CHECKOUT}/bin/piku",
        "up",
        "--http-port",
        str(http_port),
        "--https-port",
        str(https_port),
    ]
    process = subprocess.Popen(
        [*command, "--host", HOST],
        env={**server.server_env(), "PIKU_ROOT": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    def of_this_root() -> list[str]:
        return [text for text in map(str, server.processes()) if str(root) in text]

    try:
        server.wait(
            lambda: (
                (root / "uwsgi" / "emperor.stats").exists()
                and (root / "nginx" / "nginx.pid").exists()
            )
        )
        server.wait(lambda: len(of_this_root()) >= 3)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert f"http://{HOST}:{http_port}/" in said
    assert of_this_root() == []


def test_up_ends_with_what_it_runs() -> None:
    """Both may be gone before what sees to their end has begun: tried often, to meet that moment."""
    script = CHECKOUT / "src" / "piku" / "templates" / "up.sh"
    for _ in range(60):
        begun = time.monotonic()
        ended = run(
            ["bash", str(script), "true", "nginx.conf", "true", "uwsgi.ini", "FOR_NGINX=1"],
            env=dict(os.environ),
        )
        assert time.monotonic() - begun < 15
        assert ended.returncode == 1
        assert "has ended, so piku stops" in ended.stderr
        assert ended.stderr.count("\n") <= 2, ended.stderr


def answers(app: App) -> bool:
    try:
        return app.status() == 200
    except OSError:
        return False


def test_a_power_cut_and_what_it_leaves(own_server: Sandbox, new_app: Callable[..., App]) -> None:
    server = own_server
    loud = new_app(
        "loud",
        {**web("loud", procfile="worker: exec python3 -IS worker.py\n"), "worker.py": WORKER},
        on=server,
    )
    quiet = new_app("quiet", wsgi("quiet"), on=server)
    halted = new_app("halted", web("halted"), on=server)
    broken = new_app(
        "broken",
        {
            **web("broken", env="NGINX_INCLUDE_FILE=own.conf\n"),
            "own.conf": "add_header X-Own yes;\n",
        },
        on=server,
    )
    loud.does("ps:scale", "web=2")
    loud.commit(version_txt="two")
    loud.deployed()
    quiet.does("config:set", "COLOR=red")
    halted.does("stop")
    port = quiet.server.root / "nginx"
    assert port.is_dir()

    server.kill_platform()
    # What a deploy that was cut off would leave, and worse.
    root = server.root
    releases = root / "releases" / "loud"
    unfinished = releases / ".checkout.4194305.abcdefgh.tmp"  # no process has such a number
    unfinished.mkdir()
    half_built = root / "envs" / "quiet" / "python-0123456789abcdef"
    (half_built / "bin").mkdir(parents=True)
    half_built.with_name(f"{half_built.name}.building").touch()
    (root / "nginx" / ".loud.conf.xyz.tmp").write_text("server {")
    record = json.loads((releases / "v2.json").read_text())
    half = {**record, "number": 3, "outcome": "building", "step": "start"}
    (releases / "v3.json").write_text(json.dumps(half))
    (root / "uwsgi-available" / "loud@99.web.1.ini").write_text("[uwsgi]\nmaster = true\n")
    (root / "uwsgi-enabled" / "loud@99.web.1.ini").symlink_to(
        "../uwsgi-available/loud@99.web.1.ini"
    )
    (root / "uwsgi-enabled" / "gone@1.web.1.ini").symlink_to("nowhere.ini")
    (root / "apps" / "loud").unlink()
    (root / "apps" / "loud").symlink_to("/nonexistent")
    (root / "nginx" / "quiet.sock").unlink()
    (root / "nginx" / "quiet.conf").unlink()
    (root / "nginx" / "stray.conf").write_text("this is not nginx\n")
    for copy in (root / "releases" / "broken").glob("include@*"):
        copy.write_text("no_such_directive;\n")

    server.start_platform()
    for app in (loud, quiet):
        server.wait(lambda app=app: answers(app), what=f"{app.name} answers")  # type: ignore[misc]
    assert loud.body() == "two"
    assert (quiet.about()["version"], quiet.about()["env"]["COLOR"]) == ("one", "red")
    server.wait(lambda: {row["state"] for row in loud.ps().values()} == {"up"})
    assert sorted(loud.ps()) == ["web.1", "web.2", "worker.1"]
    assert halted.status() == 503
    assert halted.ps() == {}
    # The one whose file nginx refuses is left out, loudly; the others never notice.
    with pytest.raises(ConnectionError):
        broken.status()
    assert "broken is NOT served" in server.platform_log.read_text(), tail(server.platform_log)
    assert "no_such_directive" in server.platform_log.read_text()

    assert not half_built.exists() and not unfinished.exists()
    assert (
        sorted(
            path.name
            for path in (root / "uwsgi-enabled").iterdir()
            if "@99" in path.name or "gone" in path.name
        )
        == []
    )
    assert os.readlink(root / "apps" / "loud").startswith(str(releases))
    rows = {release["number"]: release for release in loud.releases()}
    assert rows[3]["outcome"] == "failed"
    assert "interrupted" in rows[3]["reason"]
    assert rows[2]["live"]

    # And the next commands need no repair by hand.
    loud.commit(version_txt="three")
    loud.deployed()
    assert loud.body() == "three"
    halted.does("restart")
    assert halted.body() == "one"
    broken.commit(version_txt="two")
    broken.deployed()
    assert broken.body() == "two"
    assert server.get(broken.host)[1]["X-Own"] == "yes"

    # An orderly stop says that it went well, and commands then say what is missing.
    assert server.stop_platform() == 0
    refused(quiet.says("restart"), 1, "piku is not running")
    quiet.commit(version_txt="two")
    assert any("piku is not running on this server" in line for line in quiet.failed())
    assert quiet.does("config:get", "COLOR") == "red\n"
    server.start_platform()
    server.wait(lambda: answers(quiet))
    assert quiet.body() == "one"
    succeeded(quiet.push())
    assert quiet.body() == "two"


def test_a_backup_without_what_can_be_made_anew(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    server = own_server
    app = new_app("moved", {**wsgi("moved"), "requirements.txt": ""}, on=server)
    server.stop_platform()
    for place in (
        server.root / "logs",
        server.root / "cache",
        *(server.root / "envs/moved").glob("*-*"),
    ):
        shutil.rmtree(place)
    server.start_platform()
    said = server.platform_log.read_text()
    assert "moved cannot run: the environment of v1 is missing" in said
    assert "could not be brought back" not in said
    refused(
        app.says("restart"),
        1,
        "the environment of v1 is missing",
        "piku deploy moved",
    )
    assert "v2 is live" in app.does("deploy")
    assert app.body() == "one"


def test_an_environment_whose_python_is_gone_is_built_anew(new_app: Callable[..., App]) -> None:
    """As after the distribution's next release, which has another Python."""
    app = new_app("aged", {**wsgi("aged"), "requirements.txt": ""})
    [python] = (app.server.root / "envs/aged").glob("*/bin/python")
    python.unlink()
    python.symlink_to("/usr/bin/python3.0")
    refused(app.says("restart"), 1, "the environment of v1 is missing", "piku deploy aged")
    assert "v2 is live" in app.does("deploy")
    assert python.exists()
    assert app.body() == "one"


def test_the_emperor_is_one_process_that_is_told_and_its_log_is_rotated(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    server = own_server
    # With a master of its own, that one would get the signals that wake the emperor and clear its delays.
    # What it starts is for a moment a copy of itself.
    emperor = int((server.root / "uwsgi" / "emperor.pid").read_text())
    command = f"--ini {server.root}/uwsgi/uwsgi.ini"
    server.wait(
        lambda: [one.pid for one in server.processes() if str(one).endswith(command)] == [emperor]
    )
    log = server.root / "uwsgi" / "emperor.log"
    with log.open("a") as written:
        written.write("x" * 2**20)
    assert server.piku("housekeeping").returncode == 0
    assert log.stat().st_size < 2**16  # what it has written since
    old = log.with_name("emperor.log.old")
    assert old.stat().st_size > 2**20 and stat.S_IMODE(old.stat().st_mode) == 0o640
    new_app("heard", wsgi("heard"), on=server)
    server.wait(lambda: "vassal heard@1.wsgi.1.ini has been spawned" in log.read_text())


def test_nginx_reloads_although_its_log_of_errors_was_removed(
    server: Sandbox, new_app: Callable[..., App]
) -> None:
    app = new_app("unlogged", wsgi("unlogged"))
    (server.root / "nginx" / "error.log").unlink()
    app.does("config:set", "NGINX_HTTPS_ONLY=true")
    assert server.get(app.host)[0] == 301
