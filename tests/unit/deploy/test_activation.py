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
from piku.errors import PikuError
from piku.paths import AppName, AppPaths, Paths

MakeJob = Callable[..., Job]
WEB = {"Procfile": "web: serve\nworker: work\n"}
WSGI = {"Procfile": "wsgi: app:app\n", "app.py": "app = None\n"}
NAME = {"NGINX_SERVER_NAME": "shop.example"}


def test_every_process_has_its_files(paths: Paths, shop: AppPaths, job: MakeJob) -> None:
    made = instances.create(job(shop, WEB, counts={"web": 2}, **NAME))
    assert [process.worker for process in made.processes] == ["web.1", "web.2", "worker.1"]
    assert releases.load_activation(shop, made.number) == made
    for name in made.vassals(shop.name):
        assert (paths.available / f"{name}.ini").exists()
        assert (shop.activation(made.number) / f"{name.worker}.env").stat().st_mode & 0o777 == 0o700
    ports = [process.port for process in made.processes if process.port]
    assert len(set(ports)) == 2 and set(ports) <= set(ports_module.PORTS)
    assert made.site is not None and made.site.backend == "http"
    assert files_module.read(shop.activation(made.number) / "web.2.env" / "PORT") == str(ports[1])
    assert not (shop.activation(made.number) / "worker.1.env" / "PORT").exists()
    assert releases.live(shop) is None, "nothing is live by this alone"


def test_variables_are_for_nobody_else(shop: AppPaths, job: MakeJob) -> None:
    made = instances.create(job(shop, WEB, SECRET="x"))
    folder = shop.activation(made.number) / "web.1.env"
    assert (folder / "SECRET").stat().st_mode & 0o777 == 0o600


def test_each_activation_has_addresses_of_its_own(shop: AppPaths, job: MakeJob) -> None:
    one, two = (instances.create(job(shop, WEB, **NAME)) for _ in range(2))
    assert one.number != two.number
    assert not {p.port for p in one.processes if p.port} & {p.port for p in two.processes if p.port}
    one, two = (instances.create(job(shop, WSGI, **NAME)) for _ in range(2))
    assert one.processes[0].address != two.processes[0].address
    assert one.processes[0].by_socket
    assert one.site == two.site, "nginx connects to the link, so nothing changes for it"


def test_apps_never_share_a_port(paths: Paths, shop: AppPaths, job: MakeJob) -> None:
    other = paths.app(AppName("blog"))
    first = instances.create(job(shop, WEB))
    second = instances.create(job(other, WEB, **NAME))
    assert first.processes[0].port != second.processes[0].port
    with pytest.raises(
        PikuError, match=f"port {first.processes[0].port} belongs to the app 'shop'"
    ):
        instances.create(job(other, WEB, PORT=str(first.processes[0].port)))


def test_an_assigned_port_is_kept_for_good(shop: AppPaths, job: MakeJob) -> None:
    ports = [instances.create(job(shop, files)).processes[0].port for files in (WEB, WSGI, WEB)]
    assert len(set(ports)) == 1
    assert instances.kept_port(shop) == ports[0]


def test_what_is_carried_over_is_not_touched(shop: AppPaths, job: MakeJob) -> None:
    made = job(shop, WEB, counts={"web": 2, "worker": 2}, **NAME)
    first = instances.create(made)
    carried = [process for process in first.processes if process.worker != "web.2"]
    second = instances.create(made, carried=carried)
    assert set(carried) < set(second.processes)
    [fresh] = set(second.processes) - set(carried)
    assert (fresh.worker, fresh.start) == ("web.2", second.number)


def test_a_canary_is_only_what_serves_on_a_socket(shop: AppPaths, job: MakeJob) -> None:
    files = {"Procfile": "wsgi: app:app\nworker: work\n"}
    made = instances.create(job(shop, files, PORT="29000"), canary=True)
    assert [(process.worker, process.by_socket, process.port) for process in made.processes] == [
        ("wsgi.1", True, None)
    ]


def test_a_port_that_another_program_has(shop: AppPaths, job: MakeJob) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            PikuError, match=f"port {port} on 127.0.0.1 is in use by another program"
        ):
            instances.create(job(shop, WEB, PORT=str(port)))


def test_an_address_that_is_not_this_servers(shop: AppPaths, job: MakeJob) -> None:
    with pytest.raises(
        PikuError, match=r"BIND_ADDRESS=192\.0\.2\.1: Cannot assign requested address"
    ):
        instances.create(job(shop, WEB, BIND_ADDRESS="192.0.2.1"))


def test_a_path_too_long_for_a_socket_is_found_before_anything_starts(
    paths: Paths, job: MakeJob
) -> None:
    deep = AppPaths(root=paths.root / ("x" * 60), name=AppName("x" * 63))
    for folder in ("nginx", "uwsgi", "uwsgi-available"):
        (deep.root / folder).mkdir(parents=True)
    with pytest.raises(PikuError, match="is too long for a socket"):
        instances.create(job(deep, WSGI, **NAME))


# --- the include file ----------------------------------------------------------------------------


def test_an_include_is_copied_so_that_nothing_changes_it_later(
    shop: AppPaths, job: MakeJob
) -> None:
    files = WEB | {"one/x.conf": "gzip on;\n", "two/x.conf": "gzip off;\n"}
    one = instances.create(job(shop, files, NGINX_INCLUDE_FILE="one/x.conf", **NAME)).site
    two = instances.create(job(shop, files, NGINX_INCLUDE_FILE="two/x.conf", **NAME)).site
    assert one is not None and two is not None
    assert files_module.read(shop.root / one.include) == "gzip on;\n"
    assert files_module.read(shop.root / two.include) == "gzip off;\n"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.conf", "there is no such file in this commit"),
        ("folder", "there is no such file in this commit"),
        ("out.conf", "leads outside the app's folder"),
    ],
)
def test_includes_that_are_none(shop: AppPaths, job: MakeJob, path: str, message: str) -> None:
    made = job(shop, WEB | {"folder/x": ""}, NGINX_INCLUDE_FILE=path, **NAME)
    (made.checkout / "out.conf").symlink_to("/etc/passwd")
    with pytest.raises(PikuError, match=f"NGINX_INCLUDE_FILE={path}.*{message}"):
        instances.create(made)


# --- what a process sees -------------------------------------------------------------------------


VALUES = {
    "EMPTY": "", "BLANKS": " a b  ", "TAB": "x\t", "PERCENT": "50% %d %(x) %", "DOLLAR": "$HOME $(id) ${X}",
    "AT": "@(/etc/passwd)", "QUOTES": "it's \"q\"", "BACK": "a\\", "UNI": "é 漢 \u2028",
    "HASH": "#x; [uwsgi]",
    "LATIN": "caf\udce9", "LONG": "x" * 60000,
}  # fmt: skip


def test_the_real_uwsgi_hands_on_exactly_the_settings(
    paths: Paths, shop: AppPaths, job: MakeJob
) -> None:
    worker = 'env -0 >"$DATA_ROOT/part"; mv "$DATA_ROOT/part" "$DATA_ROOT/seen"; exec sleep 60'
    files = {"Procfile": f"worker: {worker}\n"}
    made = instances.create(job(shop, files, **VALUES))
    [name] = made.vassals(shop.name)
    seen = shop.data / "seen"
    with subprocess.Popen(
        ["uwsgi", "--ini", str(paths.available / f"{name}.ini")],
        env={"PATH": subprocesses.SYSTEM_PATH}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        for _ in files_module.poll(time.monotonic() + 15):
            if seen.exists() or process.poll() is not None:
                break
        for pid in (process.pid, *procfs.descendants(process.pid)):  # its own ways take a second
            with contextlib.suppress(ProcessLookupError):  # it may have ended with its master
                os.kill(pid, signal.SIGKILL)
    pairs = (os.fsdecode(pair).partition("=") for pair in seen.read_bytes().split(b"\0"))
    found = {key: value for key, _, value in pairs}
    assert {key: found.get(key) for key in VALUES} == VALUES
    assert found["APP"] == "shop"
    assert found["DATA_ROOT"] == str(shop.data)
    added = {"UWSGI_ORIGINAL_PROC_NAME", "UWSGI_RELOADS", "SHLVL", "_", "OLDPWD", ""}
    assert set(found) - added == set(os.listdir(shop.activation(made.number) / "worker.1.env")) | {
        "EMPTY", "BLANKS", "TAB"
    }  # fmt: skip
    assert shop.notes(made.number, "worker.1").read_text().startswith("start ")
