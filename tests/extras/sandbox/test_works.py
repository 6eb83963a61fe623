"""What an app is used to works inside its walls."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.conftest import NewApp, maker
from tests.e2e.support import WORKER, refused, web, wsgi
from tests.extras.sandbox import support

BUILT = "import os, sys\nassert sys.prefix == os.environ['VIRTUAL_ENV']\n"


def test_a_program_is_asked_to_end(new_app: NewApp) -> None:
    """It has the time to finish, and the next one starts when it has."""
    files = {"Procfile": "worker: exec python3 -IS worker.py\n", "worker.py": WORKER}
    app = support.walled(new_app("asked", files, push=False))

    def starts(count: int) -> None:
        place = app.data / "events"
        app.server.wait(lambda: place.exists() and place.read_text().count("start") == count)

    starts(1)
    app.does("restart")
    starts(2)
    app.does("stop")
    events = [line.split()[0] for line in (app.data / "events").read_text().splitlines()]
    assert events == ["start", "stop", "start", "stop"]


def test_a_wsgi_app(new_app: NewApp) -> None:
    """Built, started beside the one before, logged, scaled, stopped: nothing is left of it."""
    files = wsgi("built", env="UWSGI_LOG_MAXSIZE=4096\n", procfile="worker: exec sleep 1000\n")
    files = {**files, "app.py": BUILT + files["app.py"], "requirements.txt": "# none\n"}
    app = support.walled(new_app("built", files, push=False))
    assert app.body() == "one"
    app.commit(version_txt="two")
    app.deployed()
    assert app.body() == "two"
    app.does("ps:scale", "wsgi=2")
    rows = app.ps()
    assert {row["state"] for row in rows.values()} == {"up"}, rows
    assert all(row["memory"] > 0 and row["pid"] for row in rows.values())
    assert '"GET / HTTP/1.1" 200' in app.does("logs", "--no-follow", "--lines", "1000")

    for _ in range(60):
        app.body("/about?" + "x" * 100)
    app.server.piku("housekeeping")
    logs = app.server.root / "logs" / app.name
    [old] = list(logs.glob("wsgi.1@*.log.old"))
    assert "/about" in old.read_text()
    assert logs.joinpath(old.stem).stat().st_size < 4096
    app.body("/about?again")
    own = lambda: [log.read_text() for log in logs.glob("wsgi.?@*.log")]  # noqa: E731
    app.server.wait(lambda: any("?again" in text for text in own()))

    app.does("stop")
    assert app.ps() == {}
    assert not [each for each in (app.server.root / "nginx").glob("built@*.sock") if each.exists()]


def test_it_starts_from_a_backup(own_server: Sandbox) -> None:
    """Which leaves out what can be made again: caches and logs."""
    files = wsgi("restored", procfile="worker: exec sleep 1000\n")
    app = support.walled(maker(own_server)("restored", files, push=False))
    own_server.stop_platform()
    for name in ("cache", "logs"):
        shutil.rmtree(own_server.root / name)
    own_server.start_platform()
    own_server.wait(lambda: app.status() == 200, 120)
    own_server.wait(lambda: {row["state"] for row in app.ps().values()} == {"up"}, 120)


def test_what_takes_too_long_is_named(new_app: NewApp) -> None:
    files = {"Procfile": "release: sleep 1000\nworker: sleep 1000\n"}
    app = new_app("long", files, push=False)
    app.does("apps:create")
    app.does("config:set", "PIKU_SANDBOX=true", "PIKU_BUILD_TIMEOUT=2")
    assert any("bash did not end within 2 s" in line for line in app.failed())


def test_one_that_sleeps(new_app: NewApp) -> None:
    files = wsgi("sleepy", env="UWSGI_IDLE=1\n")
    app = support.walled(new_app("sleepy", files, push=False))
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    assert app.body() == "one"


def test_a_limit(new_app: NewApp) -> None:
    """A uWSGI joins its limits before it is inside, a program too. Here, without a cgroup, they are
    those of each process."""
    code = 'from pathlib import Path\nVERSION = Path("/proc/self/limits").read_text()\n'
    env = "PIKU_MEMORY_LIMIT=256M\nUWSGI_PROCESSES=1\n"
    files = wsgi("limited", env=env, procfile="worker: cat /proc/self/limits && exec sleep 1000\n")
    files = {**files, "app.py": files["app.py"].replace("def app(", f"{code}\n\ndef app(")}
    app = support.walled(new_app("limited", files, push=False))
    app.server.wait(
        lambda: "Max data size" in app.does("logs", "--no-follow", "--lines", "100", "worker")
    )
    for said in (app.body(), app.does("logs", "--no-follow", "--lines", "100")):
        assert re.search(rf"Max data size +{256 * 2**20} ", said), said
    assert "is not kept" not in app.does("logs", "--no-follow", "--lines", "100")


def test_without_a_host_name(new_app: NewApp) -> None:
    files = {**wsgi("plain"), "ENV": ""}
    app = support.walled(new_app("plain", files, push=False))
    [row] = app.ps().values()
    assert app.direct(int(row["address"].rpartition(":")[2])) == "one"


def test_its_own_folders(server: Sandbox, new_app: NewApp, tmp_path: Path) -> None:
    """Home, /tmp, cache and data are its own and stay; further paths are given by the setting."""
    app = support.pushed(
        new_app("folders", web("folders"), push=False),
        "PIKU_SANDBOX=true",
        f"PIKU_SANDBOX_PATHS={tmp_path}",
    )
    places = ("$HOME", "/tmp", "$DATA_ROOT", str(tmp_path))  # noqa: S108
    for place in places:
        app.does("run", f"echo kept > {place}/file")
    for place in places:
        assert app.does("run", f"cat {place}/file") == "kept\n"
    assert app.does("run", "git log --format=%s") == "First version\n"
    result = app.says("run", "echo $$ > beside-the-code")
    assert result.returncode != 0
    assert "Read-only file system" in result.stderr
    assert app.says("run", "exit 7").returncode == 7
    told = refused(
        app.says("config:set", f"PIKU_SANDBOX_PATHS={server.root}/data"), 1, "all apps are there"
    )
    assert "PIKU_SANDBOX_PATHS" in told


def test_the_repository_cannot_take_them_down(new_app: NewApp) -> None:
    app = support.walled(new_app("keeps", web("keeps"), push=False))
    app.commit(ENV="NGINX_SERVER_NAME=keeps.localhost\nPIKU_SANDBOX=false\n")
    assert any("cannot be set in the repository" in line for line in app.failed())


def test_a_rollback_leaves_them_up(server: Sandbox, new_app: NewApp) -> None:
    """By whoever may roll back, and limits as well: they are no part of what an app was."""
    app = new_app("back")
    app.does("config:set", "PIKU_SANDBOX=true", "PIKU_MEMORY_LIMIT=256M", "COLOR=red")
    key = server.keygen(server.key.parent / "ann", comment="ann")
    assert server.piku("keys:add", "ann", f"{key}.pub", "--app", "back").returncode == 0
    said = server.ssh("rollback back v1", key=key)
    assert said.returncode == 0, said.stderr
    assert sorted(app.does("config").split()) == ["PIKU_MEMORY_LIMIT=256M", "PIKU_SANDBOX=true"]
    assert "These settings stay as they are: PIKU_MEMORY_LIMIT, PIKU_SANDBOX" in said.stdout
    assert "These settings go back as well: COLOR" in said.stdout
    assert app.says("run", f"ls {server.root}/envs/back/ENV").returncode != 0


def test_a_uwsgi_never_starts_without_its_walls(new_app: NewApp) -> None:
    """As when the emperor is one of a piku that had none yet."""
    app = support.walled(new_app("never", wsgi("never"), push=False))
    script = app.server.root / "uwsgi" / "vassal.sh"
    aside = script.rename(script.with_name("aside"))
    try:
        app.commit(version_txt="two")
        app.failed()
    finally:
        aside.rename(script)
    assert app.body() == "one"


def test_what_a_process_sees(new_app: NewApp) -> None:
    app = support.walled(new_app("sees", web("sees"), push=False))
    listing = json.loads(
        app.does("run", "python3 -c 'import json, os; print(json.dumps(os.listdir(\"/proc\")))'")
    )
    assert len([name for name in listing if name.isdigit()]) < 10
