"""`piku doctor` on a server: each fault made for real, found, mended as it says, and gone."""

import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import processes
import pytest
from sandbox import HOST, Sandbox

from tests.doctor.support import (
    EXAMINE,
    elsewhere,
    examined,
    mended,
    reports,
    sees,
    sees_no_more,
    the_one,
    with_text,
)
from tests.e2e.conftest import NewApp, started
from tests.e2e.support import CHECKOUT, refused, web


@pytest.fixture(scope="module")
def sick() -> Iterator[Sandbox]:
    """A server that these tests make sick, and well again."""
    for server in started():
        server.wait((server.root / "nginx" / "nginx.pid").exists)
        yield server


def test_a_healthy_server(sick: Sandbox) -> None:
    findings = examined(sick)
    assert not [one for one in findings if one["severity"] == "problem"]
    assert {
        "programs",
        "platform",
        "configuration",
        "ports",
        "keys",
        "disk",
        "memory",
        "clock",
    } <= {one["check"] for one in findings}
    shown = sick.ssh("doctor")
    assert shown.returncode == 0
    assert "checks in" in shown.stdout.splitlines()[-1]
    assert "\nok " not in f"\n{shown.stdout}" and "\x1b" not in shown.stdout
    assert "ok       nginx accepts its configuration\n" in sick.piku("doctor", "-v").stdout
    begun = time.monotonic()
    judged = sick.piku("doctor", "--self")
    assert (judged.returncode, time.monotonic() - begun < 3) == (0, True)
    assert judged.stdout.startswith("all is well: ")


def test_what_is_no_question(sick: Sandbox) -> None:
    refused(sick.piku("doctor", "nosuch"), 1, "no app called 'nosuch'")
    refused(sick.piku("doctor", "--url", "/x"), 2, "--url needs the app")
    refused(sick.piku("doctor", "--self", "--online"), 2, "--self asks nobody else")


# --- the machine ---------------------------------------------------------------------------------


def test_programs_that_are_missing(sick: Sandbox) -> None:
    said = elsewhere(
        sick,
        f'git=$(readlink -f "$(command -v git)"); mount --bind /dev/null "$git"; {EXAMINE} umount "$git"\n'
        f"mount -t tmpfs none /usr/lib/uwsgi/plugins; {EXAMINE} umount /usr/lib/uwsgi/plugins; {EXAMINE}",
    )
    missing, plugin, well = reports(said)
    the_one(missing, "git is not installed", fix="sudo apt-get install git")
    the_one(plugin, "plugin for Python", severity="warning", fix="uwsgi-plugin-python3")
    assert with_text(well, "installed") == with_text(well, "plugin for Python") == []


def test_a_program_that_is_too_old(sick: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.11.0\n")
    (tmp_path / "git").chmod(0o755)
    findings = examined(sick, "--self", env={"PATH": f"{tmp_path}:{sick.server_env()['PATH']}"})
    the_one(
        findings,
        "git is 2.11.0, and piku is made for 2.30",
        severity="warning",
        fix="--only-upgrade git",
    )
    sees_no_more(sick, "git is")


def test_a_full_disk(sick: Sandbox) -> None:
    said = elsewhere(
        sick,
        f"mkdir small; mount -t tmpfs -o size=20m,nr_inodes=400 none small; PIKU_ROOT=$PWD/small/.piku; {EXAMINE}"
        f"piku setup; {EXAMINE} umount small; mount -t tmpfs -o size=700m,nr_inodes=4000 none small; piku setup\n"
        f"touch small/{{1..3930}}; {EXAMINE} umount small; mount -t tmpfs -o size=3g none small; {EXAMINE}",
    )
    unset, full, nearly, well = reports(said)
    the_one(unset, "this server is not set up", fix="piku setup")
    the_one(full, "MB are free on the disk", fix="du -xhd2 ")
    the_one(nearly, "inodes are left", fix="du --inodes")
    assert with_text(well, "disk") == []


def test_memory_that_runs_out(sick: Sandbox) -> None:
    def meminfo(available: int, swap: int) -> str:
        values = {
            "MemTotal": 2000000,
            "MemAvailable": available,
            "SwapTotal": 1000000,
            "SwapFree": swap,
        }
        text = "".join(f"{name}: {value} kB\\n" for name, value in values.items())
        return f"printf '{text}' >meminfo; mount --bind meminfo /proc/meminfo; {EXAMINE} umount /proc/meminfo\n"

    said = elsewhere(
        sick, meminfo(20000, 900000) + meminfo(150000, 10000) + meminfo(1500000, 900000)
    )
    out, low, well = reports(said)
    the_one(out, "only 20 of 1953 MB of memory are available", fix="PIKU_MEMORY_LIMIT")
    the_one(low, "only 146 of 1953 MB of memory are available", severity="warning")
    the_one(low, "swap is nearly full", severity="warning")
    assert with_text(well, "memory") == with_text(well, "swap") == []


class _Clock(http.server.BaseHTTPRequestHandler):
    skew = 0.0

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.skew, usegmt=True))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    """The address of a server that could be a certificate authority."""
    pem = tmp_path / "own.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    names = ["-subj", "/CN=authority", "-keyout", str(pem), "-out", str(tmp_path / "crt.pem")]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt.pem", pem)
    with http.server.ThreadingHTTPServer((HOST, 0), _Clock) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://{HOST}:{server.server_port}/directory"
        server.shutdown()
        thread.join()


def test_the_clock(sick: Sandbox, authority: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = sick.root / "ENV"
    before = settings.read_text()
    settings.write_text(f"ACME_ROOT_CA={authority}\n")
    monkeypatch.setattr(_Clock, "skew", 3600.0)
    sees(sick, "s slow, says 127.0.0.1", "--online", fix="sudo timedatectl set-ntp true")
    monkeypatch.setattr(_Clock, "skew", -90.0)
    sees(sick, "s fast, says 127.0.0.1", "--online")
    monkeypatch.setattr(_Clock, "skew", 0.0)
    assert not [
        one
        for one in examined(sick, "--online")
        if one["check"] == "clock" and one["severity"] != "ok"
    ]
    settings.write_text("ACME_ROOT_CA=https://127.0.0.1:1/directory\n")
    fix = "curl -sSI https://127.0.0.1:1/directory"
    sees(
        sick,
        "https://127.0.0.1:1/directory does not answer",
        "--online",
        severity="warning",
        fix=fix,
    )
    settings.write_text(before)


# --- folders and keys ----------------------------------------------------------------------------


def test_folders(sick: Sandbox) -> None:
    (sick.root / "acme").rename(sick.root / "elsewhere")
    finding = sees(sick, "lacks the folders acme", "--self", fix="piku setup")
    mended(sick, finding)
    sees_no_more(sick, "lacks the folders")
    shutil.rmtree(sick.root / "elsewhere")
    (sick.root / "logs").chmod(0o500)
    mended(sick, sees(sick, "logs cannot be written by its owner", "--self", fix="chmod u+rwx"))
    (sick.root / "logs").chmod(0o757)
    mended(sick, sees(sick, "logs can be written by everybody", fix="chmod o-w"))
    sees_no_more(sick, "logs can")
    (sick.root / "repos").chmod(0)
    refused(sick.piku("apps"), 1, "repos cannot be used: permission denied")
    found = json.loads(sick.piku("doctor", "--json").stdout)["findings"]
    assert (
        len([one for one in found if "could not be checked: PermissionError" in one["what"]]) == 1
    )
    mended(sick, the_one(found, "repos cannot be written by its owner"))
    assert sick.piku("apps").returncode == 0
    (sick.root / "logs").chmod(0o750)


def test_files_of_another_user(sick: Sandbox) -> None:
    # Root's own, seen from a user namespace, belong to nobody known there.
    said = elsewhere(
        sick,
        f"cd .piku; mkdir -p repos/x; touch repos/x/HEAD; mount --bind /etc/passwd repos/x/HEAD; {EXAMINE}"
        f"umount repos/x/HEAD; {EXAMINE} rm -r repos/x",
    )
    foreign, well = reports(said)
    finding = the_one(foreign, "belong to another user", fix="sudo chown -R ")
    assert "repos/x/HEAD below the piku root" in finding["what"]
    assert with_text(well, "belong to another user") == []


def test_secrets(sick: Sandbox) -> None:
    (sick.root / "ENV").chmod(0o644)
    sees_no_more(sick, "can be read by others")  # nobody comes that far
    mode = sick.home.stat().st_mode & 0o777
    sick.home.chmod(0o755)
    mended(
        sick, sees(sick, "ENV, which may hold secrets, can be read by others", severity="warning")
    )
    sees_no_more(sick, "can be read by others")
    sick.home.chmod(mode)


def test_keys(sick: Sandbox) -> None:
    file = sick.home / ".ssh" / "authorized_keys"
    text = file.read_text()
    key = text.split()[-2]
    for path in (file, file.parent, sick.home):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o020)
        mended(sick, sees(sick, f"sshd lets no key in: {path} can be written by others"))
        sees_no_more(sick, "sshd lets no key in")
        path.chmod(mode)
    # A line that was cut off, and one whose key lacks its end.
    for damaged in (text[:100] + "\n", text.replace(key, key[:-8]), "ssh-ed25519 AAAAshort me\n"):
        file.write_text(f"# own\n{damaged}")
        finding = sees(sick, "line 2 of authorized_keys is damaged", fix="sed -i 2d ")
        mended(sick, {**finding, "fix": finding["fix"].partition(" && piku setup:ssh FILE")[0]})
        sees(sick, "no key may push yet", severity="warning", fix="piku setup:ssh")
        assert file.read_text() == "# own\n"
    # A plain login is nobody's business.
    file.write_text(f"{text}ssh-ed25519 {key} admin@laptop\n")
    assert not [one for one in examined(sick) if one["check"] == "keys" and one["severity"] != "ok"]

    file.write_text(text.replace(f"{CHECKOUT}/bin/piku", "/opt/gone/piku"))
    finding = sees(
        sick, "the key 'laptop' cannot push: it is bound to /opt/gone/piku", fix="sed -i '1s|"
    )
    assert sick.ssh("apps").returncode != 0
    found = examined(sick, env={"PATH": f"{CHECKOUT}/bin:{sick.server_env()['PATH']}"})
    mended(sick, the_one(found, "cannot push", fix=f"{CHECKOUT}/bin/piku|"))
    assert sick.ssh("apps").returncode == 0
    assert file.read_text() == text and finding["check"] == "keys"

    file.write_text(text.replace(f"PIKU_ROOT={sick.root}", "PIKU_ROOT=/srv/other"))
    sees(
        sick,
        "the key 'laptop' leads to another piku root, /srv/other",
        severity="warning",
        fix="keys:remove laptop",
    )
    file.write_text(text.replace(",no-port-forwarding", ""))
    sees(
        sick,
        "'laptop' (line 1) lacks restrictions",
        severity="warning",
        fix="piku keys:remove laptop",
    )
    file.write_text(text)
    assert not [one for one in examined(sick) if one["check"] == "keys" and one["severity"] != "ok"]


# --- the platform --------------------------------------------------------------------------------


def test_what_nginx_is_told(sick: Sandbox, new_app: NewApp) -> None:
    app = new_app("told", on=sick)
    foreign = sick.root / "nginx" / "own.conf"
    foreign.write_text("server { listen 127.0.0.1:1; nonsense; }\n")
    finding = sees(sick, 'nginx refuses the configuration: unknown directive "nonsense"', "--self")
    mended(sick, finding)
    sees_no_more(sick, "nginx refuses")
    assert foreign.with_name("own.conf.refused").exists() and not foreign.exists()
    foreign.with_name("own.conf.refused").unlink()

    own = sick.root / "nginx" / "told.conf"
    own.write_text(own.read_text() + "# mine\n")
    mended(
        sick,
        sees(
            sick, "nginx/told.conf was changed by hand", severity="warning", fix="piku restart told"
        ),
    )
    sees_no_more(sick, "told.conf")
    own.unlink()
    mended(sick, sees(sick, "nginx/told.conf is missing", fix="piku restart told"))
    sees_no_more(sick, "told.conf")
    assert app.status() == 200

    main = sick.root / "nginx.conf"
    main.write_text(main.read_text() + "# mine\n")
    finding = sees(
        sick,
        "nginx.conf is not what this version of piku writes",
        severity="warning",
        fix="piku setup",
    )
    assert sick.piku("setup").returncode == 0
    sees_no_more(sick, "nginx.conf is not")

    (sick.root / "nginx" / "reload-pending").touch()
    finding = sees(sick, "nginx has not taken up its newest configuration", severity="warning")
    mended(sick, finding)
    sees_no_more(sick, "has not taken up")


def test_an_app_that_was_set_aside(sick: Sandbox, new_app: NewApp) -> None:
    files = {
        **web("aside", env="NGINX_INCLUDE_FILE=own.conf\n"),
        "own.conf": "add_header X-Own yes;\n",
    }
    new_app("aside", files, on=sick)
    (kept,) = (sick.root / "releases" / "aside").glob("kept@*own.conf")
    text = kept.read_text()
    kept.write_text("nonsense;\n")
    sick.stop_platform()
    sick.start_platform()
    sees(sick, "nginx refused its configuration", "aside", fix="piku deploy aside")
    kept.write_text(text)
    assert sick.piku("deploy", "aside").returncode == 0
    sees_no_more(sick, "nginx refused", "aside")


def test_a_platform_that_does_not_run(sick: Sandbox) -> None:
    sick.stop_platform()
    finding = sees(sick, "piku does not run here", "--self", fix="piku up")
    assert finding["check"] == "platform"
    # Somebody else takes the port meanwhile.
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True); input()"
    holder = subprocess.Popen(
        ["python3", "-c", code, str(sick.http_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "\n"
        taken = sees(
            sick,
            f"nginx has not got port {sick.http_port}: python3 of {sick.user} has it",
            "--self",
        )
        assert f"sport = :{sick.http_port}" in taken["fix"]
    finally:
        holder.communicate("\n")
    sick.start_platform()
    sees_no_more(sick, "run here")
    sees_no_more(sick, f"port {sick.http_port}")
    # What it was told when it started is not what it does.
    platform = sick.root / "uwsgi" / "platform.json"
    text = platform.read_text()
    platform.write_text(text.replace(str(sick.http_port), "1"))
    sees(sick, "nginx does not listen on port 1", "--self", fix="piku up")
    platform.write_text(text)


def test_half_a_platform(own_server: Sandbox) -> None:
    server = own_server
    nginx = int((server.root / "nginx" / "nginx.pid").read_text())
    emperor = int((server.root / "uwsgi" / "emperor.pid").read_text())
    os.kill(server.platform_pid(), signal.SIGKILL)
    os.kill(nginx, signal.SIGQUIT)
    server.wait(lambda: not Path(f"/proc/{nginx}").exists())
    sees(server, "nginx does not run: nobody reaches any app", "--self", fix="piku up")
    everyone = [process.pid for process in processes.tree(emperor)]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    sees(server, "the uWSGI emperor runs, and does not answer", "--self")
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)
    os.kill(emperor, signal.SIGINT)
    server.wait(lambda: not Path(f"/proc/{emperor}").exists())
    sees(server, "piku does not run here", "--self")
    server.stop_platform()
    server.start_platform()
    assert not with_text(examined(server, "--self"), "")


def test_a_check_that_breaks_stops_no_other(sick: Sandbox) -> None:
    platform = sick.root / "uwsgi" / "platform.json"
    text = platform.read_text()
    platform.write_text("{")
    result = sick.piku("doctor", "--json")
    findings = json.loads(result.stdout)["findings"]
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert len([one for one in findings if "platform.json is damaged" in one["what"]]) == 1
    assert {"programs", "keys", "disk", "memory"} <= {one["check"] for one in findings}
    platform.write_text(text)
    sees_no_more(sick, "is damaged")
    settings = sick.root / "ENV"
    kept = settings.read_text()
    shutil.move(settings, settings.with_name("kept"))
    settings.mkdir()
    result = sick.piku("doctor", "--online", "--json")
    broken = [
        one
        for one in json.loads(result.stdout)["findings"]
        if "could not be checked" in one["what"]
    ]
    assert broken and "IsADirectoryError" in broken[0]["what"]
    settings.rmdir()
    settings.write_text(kept)
    settings.chmod(0o600)
