"""`piku doctor` on a server: each fault made for real, found, fixed as it says, and gone."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp, started
from tests.e2e.support import CHECKOUT, refused
from tests.extras.doctor.support import PIKU, examined, faults, follow, sees, sees_no_more


@pytest.fixture(scope="module")
def sick() -> Iterator[Sandbox]:
    """A server that these tests make sick, and well again."""
    for server in started():
        server.wait((server.root / "nginx" / "nginx.pid").exists)
        yield server


def test_a_healthy_server(sick: Sandbox) -> None:
    assert faults(sick) == []
    shown = sick.ssh("doctor")
    assert (shown.returncode, "\x1b" in shown.stdout) == (0, False)
    assert "\nok " not in f"\n{shown.stdout}"
    assert "ok       nginx accepts its configuration\n" in sick.piku("doctor", "-v").stdout

    def taken() -> float:
        begun = time.monotonic()
        assert sick.piku("doctor", "--self").stdout == "all is well\n"
        return time.monotonic() - begun

    assert min(taken() for _ in range(3)) < 6
    refused(sick.piku("doctor", "nosuch"), 1, "no app called 'nosuch'")
    refused(sick.piku("doctor", "--url", "/x"), 2, "--url needs an app")


def elsewhere(server: Sandbox, script: str) -> str:
    """What the doctor prints in namespaces of its own, after a script that may mount what it likes."""
    script = f'set -e\npiku() {{ {shlex.quote(PIKU)} "$@"; }}\n{script}\npiku doctor || true\n'
    ran = subprocess.run(
        ["unshare", "-Urmf", "--kill-child", "bash", "-c", script], env=server.server_env(),
        capture_output=True, text=True, check=False, cwd=server.home, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    return ran.stdout


def test_the_machine(sick: Sandbox, tmp_path: Path) -> None:
    git = elsewhere(sick, 'mount --bind /dev/null "$(readlink -f "$(command -v git)")"')
    assert "git is not installed\n         fix: sudo apt-get install git\n" in git
    plugin = elsewhere(sick, "mount -t tmpfs none /usr/lib/uwsgi/plugins")
    assert "no plugin for Python" in plugin
    disk = elsewhere(
        sick, "mkdir small; mount -t tmpfs -o size=20m none small; PIKU_ROOT=$PWD/small"
    )
    assert "20 of 20 MB are free" in disk and "not set up" in disk
    sizes = "MemTotal: 2000000 kB\\nMemAvailable: 20000 kB\\nSwapTotal: 0 kB\\n"
    memory = elsewhere(sick, f"printf '{sizes}' >meminfo; mount --bind meminfo /proc/meminfo")
    assert "problem  only 19 of 1953 MB of memory are available" in memory
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.11.0\n")
    (tmp_path / "git").chmod(0o755)
    found = examined(sick, "--self", env={"PATH": f"{tmp_path}:{sick.server_env()['PATH']}"})
    assert "git is 2.11, piku needs 2.30 or later" in [
        one["what"].replace("11.0", "11") for one in found
    ]


def test_folders(sick: Sandbox) -> None:
    logs = sick.root / "plugins"
    logs.rmdir()
    follow(sick, sees(sick, "lacks plugins", "--self"))
    sees_no_more(sick, "lacks plugins", "--self")
    logs.chmod(0o500)
    finding = sees(sick, f"piku cannot write to {logs}", "--self", fix="chmod u+rwx")
    follow(sick, {**finding, "fix": finding["fix"].replace("sudo ", "")})
    sees_no_more(sick, "cannot write", "--self")


def test_keys(sick: Sandbox) -> None:
    file = sick.home / ".ssh" / "authorized_keys"
    text = file.read_text()
    for path in (file, file.parent, sick.home):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o020)
        follow(sick, sees(sick, f"sshd accepts no key: others can write {path}"))
        sees_no_more(sick, "sshd accepts no key")
        path.chmod(mode)

    # Both fixes are followed as they were printed, and the good key stays.
    key = text.split()[-2]
    file.write_text(f"# own\n{text[:100]}\n{text.replace(key, key[:-8])}{text}")
    damaged = [one for one in faults(sick) if "is damaged" in one["what"]]
    assert [one["what"][:6] for one in damaged] == ["line 2", "line 3"]
    for finding in damaged:
        follow(sick, finding)
    assert file.read_text() == f"# own\n{text}"
    assert sick.ssh("apps").returncode == 0
    # A plain login is nobody's business, and neither is a key with `restrict`.
    restricted = text.replace(
        "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding", "restrict"
    )
    assert restricted != text
    file.write_text(f"{restricted}ssh-ed25519 {key} admin@laptop\n")
    assert faults(sick) == []

    file.write_text(text.replace(f"{CHECKOUT}/bin/piku", "/opt/gone/piku"))
    assert sick.ssh("apps").returncode != 0
    path = {"PATH": f"{CHECKOUT}/bin:{sick.server_env()['PATH']}"}
    (finding,) = [one for one in examined(sick, env=path) if "they cannot push" in one["what"]]
    follow(sick, finding)
    assert file.read_text() == text
    assert sick.ssh("apps").returncode == 0
    file.write_text("")
    sees(sick, "no key may push yet", severity="warning", fix="piku setup:ssh")
    file.write_text(text)


def test_configuration(sick: Sandbox, new_app: NewApp) -> None:
    app = new_app("told", on=sick)
    foreign = sick.root / "nginx" / "own.conf"
    foreign.write_text("server { listen 127.0.0.1:1; nonsense; }\n")
    finding = sees(sick, 'nginx refuses the configuration: unknown directive "nonsense"', "--self")
    follow(sick, finding)
    sees_no_more(sick, "nginx refuses", "--self")
    foreign.with_name("own.conf.refused").unlink()
    (sick.root / "nginx" / "told.conf").unlink()
    follow(sick, sees(sick, "nginx/told.conf is missing", fix="piku restart told"))
    sees_no_more(sick, "told.conf")
    assert app.status() == 200


def test_a_platform_that_does_not_run(sick: Sandbox) -> None:
    sick.stop_platform()
    sees(sick, "piku does not run here", "--self", fix="piku up")
    # Another program takes the port meanwhile.
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True); input()"
    command = ["python3", "-c", code, str(sick.http_port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "\n"
        text = f"nginx has not got port {sick.http_port}: python3 (process {holder.pid}) holds it"
        follow(sick, sees(sick, text, "--self", fix=f"kill {holder.pid}"))
        assert holder.wait(10) == -signal.SIGTERM
    sick.start_platform()
    assert faults(sick, "--self") == []


def test_half_a_platform(own_server: Sandbox) -> None:
    server = own_server
    nginx = int((server.root / "nginx" / "nginx.pid").read_text())
    emperor = int((server.root / "uwsgi" / "emperor.pid").read_text())
    os.kill(server.platform_pid(), signal.SIGKILL)
    os.kill(nginx, signal.SIGQUIT)
    server.wait(lambda: not Path(f"/proc/{nginx}").exists())
    sees(server, "nginx does not run: no app can be reached", "--self", fix="piku up")
    everyone = [process.pid for process in processes.tree(emperor)]
    for pid in everyone:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    # No answer is not the same as not running.
    sees(server, f"the uWSGI emperor (process {emperor}) did not answer", severity="warning")
    sees_no_more(server, "does not run: no app does")
    for pid in everyone:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    os.kill(emperor, signal.SIGINT)
    server.wait(lambda: not Path(f"/proc/{emperor}").exists())
    sees(server, "piku does not run here", "--self")
    server.stop_platform()
    server.start_platform()
    assert faults(server, "--self") == []


def test_a_check_that_fails_stops_no_other(sick: Sandbox) -> None:
    platform = sick.root / "uwsgi" / "platform.json"
    text = platform.read_text()
    platform.write_text("{")
    result = sick.piku("doctor", "--json")
    findings = json.loads(result.stdout)["findings"]
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert any("platform.json is damaged" in one["what"] for one in findings)
    assert {"configuration"} <= {one["check"] for one in findings}
    platform.write_text(text)
    assert faults(sick) == []
