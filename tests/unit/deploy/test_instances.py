"""What starts a release's processes, written to disk; one of them started by the real uWSGI."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from piku import files as files_module
from piku import ports as ports_module
from piku import procfs, subprocesses
from piku.deploy import instances, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.paths import AppName, AppPaths, Paths

MakeDeployment = Callable[..., Deployment]
GoLive = Callable[[Deployment], Live]
WEB = {"Procfile": "web: serve\nworker: work\n"}
WSGI = {"Procfile": "wsgi: app:app\n", "app.py": "app = None\n"}
NAME = {"NGINX_SERVER_NAME": "shop.example"}


def test_the_address_of_what_runs_elsewhere_is_where_it_is_now(shop: AppPaths) -> None:
    process = Process(
        kind="wsgi", instance=1, start=3, port=20000, address="127.0.0.1:20000", elsewhere=True
    )
    assert process.now(shop).address == "" and not process.served
    files_module.write(process.place(shop), "10.0.0.2:20000\n")
    assert process.now(shop).address == "10.0.0.2:20000"


def test_every_process_has_its_files(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment
) -> None:
    made = deployment(shop, WEB, counts={"web": 2}, SECRET="x", **NAME)
    number, processes = instances.create(made)
    assert [process.worker for process in processes] == ["web.1", "web.2", "worker.1"]
    folder = shop.start(number)
    for name in (process.vassal(shop.name) for process in processes):
        assert (paths.available / f"{name}.ini").exists()
        assert (folder / f"{name.worker}.env").stat().st_mode & 0o777 == 0o700
    ports = [process.port for process in processes if process.port]
    assert len(set(ports)) == 2 and set(ports) <= set(ports_module.PORTS)
    assert files_module.read(folder / "web.2.env" / "PORT") == f"{ports[1]}\n"
    assert not (folder / "worker.1.env" / "PORT").exists()
    assert (folder / "web.1.env" / "SECRET").stat().st_mode & 0o777 == 0o600
    assert releases.live(shop) is None, "nothing is live by this alone"


def test_each_start_has_addresses_of_its_own(
    shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    one, two = (go_live(deployment(shop, WEB, **NAME)) for _ in range(2))
    assert one.start != two.start
    assert not {p.port for p in one.processes if p.port} & {p.port for p in two.processes if p.port}
    one, two = (go_live(deployment(shop, WSGI, **NAME)) for _ in range(2))
    assert one.processes[0].address != two.processes[0].address
    assert one.processes[0].by_socket
    assert one.site == two.site, "nginx connects to the link, so nothing changes for it"


def test_apps_never_share_a_port(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    other = paths.app(AppName("blog"))
    port = go_live(deployment(shop, WEB)).processes[0].port
    assert go_live(deployment(other, WEB, **NAME)).processes[0].port != port
    with pytest.raises(PikuError, match=f"port {port} belongs to the app 'shop'"):
        instances.create(deployment(other, WEB, PORT=str(port)))


def test_a_port_is_taken_before_anything_listens_there(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment
) -> None:
    """Two pushes at once: nothing of either is live yet."""
    _, processes = instances.create(deployment(shop, WEB, **NAME))
    assert instances.ports_in_use(paths) == {processes[0].port: shop.name}


def test_an_assigned_port_is_kept_for_good(shop: AppPaths, deployment: MakeDeployment) -> None:
    ports = [instances.create(deployment(shop, files))[1][0].port for files in (WEB, WSGI, WEB)]
    assert len(set(ports)) == 1


def test_what_is_carried_over_is_not_touched(shop: AppPaths, deployment: MakeDeployment) -> None:
    made = deployment(shop, WEB, counts={"web": 2, "worker": 2}, **NAME)
    _, first = instances.create(made)
    number, fresh = instances.create(made, [one for one in first if one.worker != "web.2"])
    assert [(process.worker, process.start) for process in fresh] == [("web.2", number)]


def test_a_port_that_another_program_has(shop: AppPaths, deployment: MakeDeployment) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            PikuError, match=f"port {port} on 127.0.0.1 is in use by another program"
        ):
            instances.create(deployment(shop, WEB, PORT=str(port)))


def test_an_address_that_is_not_this_servers(shop: AppPaths, deployment: MakeDeployment) -> None:
    with pytest.raises(
        PikuError, match=r"BIND_ADDRESS=192\.0\.2\.1: Cannot assign requested address"
    ):
        instances.create(deployment(shop, WEB, BIND_ADDRESS="192.0.2.1"))


def test_a_path_too_long_for_a_socket_is_found_before_anything_starts(
    paths: Paths, deployment: MakeDeployment
) -> None:
    deep = AppPaths(root=paths.root / ("x" * 60), name=AppName("x" * 63))
    for folder in ("nginx", "uwsgi", "uwsgi-available"):
        (deep.root / folder).mkdir(parents=True)
    with pytest.raises(PikuError, match="is too long for a socket"):
        instances.create(deployment(deep, WSGI, **NAME))


# --- what a process sees -------------------------------------------------------------------------


VALUES = {
    "EMPTY": "", "BLANKS": "  a b", "TAB": "\tx", "PERCENT": "50% %d %(x) %", "DOLLAR": "$HOME $(id) ${X}",
    "AT": "@(/etc/passwd)", "QUOTES": "it's \"q\"", "BACK": "a\\", "UNI": "é 漢 \u2028",
    "HASH": "#x; [uwsgi]",
    "LATIN": "caf\udce9", "LONG": "x" * 60000,
    "LINES": "a\nb % $(x)\r\nc", "AFTER": "50% $HOME $(id) \t", "KEY": "-----\nAb+/=\n-----\n", "BLANK": " ",
    "NEWLINES": "\n\n", "RETURN": "x\r",
}  # fmt: skip


def test_the_real_uwsgi_hands_on_exactly_the_settings(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment
) -> None:
    worker = 'env -0 >"$DATA_ROOT/part"; mv "$DATA_ROOT/part" "$DATA_ROOT/seen"; exec sleep 60'
    files = {"Procfile": f"worker: {worker}\n"}
    number, [process] = instances.create(deployment(shop, files, **VALUES))
    name = process.vassal(shop.name)
    seen = shop.data / "seen"
    with subprocess.Popen(
        ["uwsgi", "--ini", str(paths.available / f"{name}.ini")],
        env={"PATH": subprocesses.SYSTEM_PATH}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as uwsgi:  # fmt: skip
        for _ in files_module.poll(time.monotonic() + 15):
            if seen.exists() or uwsgi.poll() is not None:
                break
        for pid in (uwsgi.pid, *procfs.descendants(uwsgi.pid)):  # its own ways take a second
            with contextlib.suppress(ProcessLookupError):  # it may have ended with its master
                os.kill(pid, signal.SIGKILL)
    pairs = (os.fsdecode(pair).partition("=") for pair in seen.read_bytes().split(b"\0"))
    found = {key: value for key, _, value in pairs}
    assert {key: found.get(key) for key in VALUES} == VALUES
    assert found["APP"] == "shop"
    assert found["DATA_ROOT"] == str(shop.data)
    added = {"UWSGI_ORIGINAL_PROC_NAME", "UWSGI_RELOADS", "SHLVL", "_", "OLDPWD", ""}
    folder = shop.start(number)
    written = {*os.listdir(folder / "worker.1.env"), *os.listdir(folder / "worker.1.blanks")}
    assert set(found) - added == written
