"""What the README says, typed on a machine that has just been installed, one step after the other.

The tests of this file are one story on one machine: each goes on where the one before has ended.
"""

import http.client
import re
import subprocess
from pathlib import Path

import pytest

from tests.install.box import Box
from tests.install.support import CHECKOUT, SERVER, Laptop, Load, Transcript, wait

pytestmark = pytest.mark.timeout(600)

APP = """\
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{greeting} from release {os.environ['PIKU_RELEASE']}\\n".encode()]

greeting = "Hello"
"""


def pids(box: Box) -> dict[str, str]:
    units = ("piku-nginx", "piku-emperor")
    return {
        unit: box.run("systemctl", "show", "-p", "MainPID", "--value", unit).stdout.strip()
        for unit in units
    }


def commands(heading: str) -> list[str]:
    """What is to be typed as root, as the page about operations says below that heading."""
    page = (CHECKOUT / "docs/operations.md").read_text()
    below = re.split(r"^## ", page.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[
        0
    ]
    return re.findall(r"^sudo (.*)$", below, re.MULTILINE)


def test_the_package_is_installed(
    box: Box, laptop: Laptop, packages: tuple[Path, Path], transcript: Transcript
) -> None:
    (box.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (box.root / "root/.ssh/authorized_keys").write_text(laptop.key)
    box.put(packages[0], packages[0].name)
    line = "apt install --yes ./piku_*.deb"
    said = box.sh(f"DEBIAN_FRONTEND=noninteractive {line}").stdout
    transcript.say(
        "# A fresh machine, step by step\n\n"
        "<!-- Written by a test (make install-transcript): do not edit. -->\n\n"
        "Debian 12 as its installer leaves it, here in systemd-nspawn, with the key of a laptop\nin "
        "root's `~/.ssh/authorized_keys`. On the machine:"
    )
    shown = said[said.index("Setting up piku") :].replace("box", SERVER)
    shown = re.sub(r"piku@[0-9a-f.:]+:APP", f"piku@{SERVER}:APP", shown)
    transcript.show("root@server#", line, re.sub(r"Processing triggers.*\n?", "", shown))
    assert "Traceback" not in said
    assert "Stopping the distribution's own nginx" in said
    assert "These keys may push" in said
    for unit in ("piku-nginx", "piku-emperor"):
        assert box.run("systemctl", "is-active", unit).stdout == "active\n"
        assert box.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
    assert box.run("systemctl", "is-enabled", "nginx", check=False).stdout == "disabled\n"
    assert box.run("systemctl", "is-active", "nginx", check=False).stdout == "inactive\n"
    with pytest.raises(
        http.client.RemoteDisconnected
    ):  # piku's nginx has nothing to say to a name it does not know
        laptop.get("nobody.example.com")
    processes = box.sh("ps -C nginx,uwsgi -o user=").stdout.split()
    assert set(processes) == {"piku"}
    assert "0 loaded units" in box.run("systemctl", "--failed").stdout
    shown = box.sh("systemd-analyze security --no-pager | grep piku").stdout
    assert {row.split()[0]: float(row.split()[1]) for row in shown.splitlines()} == {
        "piku-emperor.service": pytest.approx(4.6, abs=0.7),
        "piku-nginx.service": pytest.approx(2.0, abs=0.7),
    }


def test_a_push_over_the_network_is_live(box: Box, laptop: Laptop, transcript: Transcript) -> None:
    folder = laptop.home / "hello"
    folder.mkdir()
    (folder / "Procfile").write_text("wsgi: app:app\n")
    (folder / "app.py").write_text(APP)
    (folder / "ENV").write_text("NGINX_SERVER_NAME=hello.example.com\n")
    laptop.does("git init --quiet && git add -A && git commit --quiet -m 'First version'", "hello")
    laptop.does(f"git remote add piku piku@{SERVER}:hello", "hello")
    transcript.say(
        "On the laptop, in a git repository with `app.py`, a `Procfile` (`wsgi: app:app`) and an "
        "`ENV` (its host name):"
    )
    transcript.show("ada@laptop$", f"git remote add piku piku@{SERVER}:hello", "")
    said = laptop.does("git push piku main", "hello")
    transcript.show("ada@laptop$", "git push piku main", said)
    assert "v1 is live" in said
    line = "curl --insecure https://hello.example.com/"
    page = laptop.does(line)
    transcript.say("It answers, with a certificate of its own making until the name leads here:")
    transcript.show("ada@laptop$", line, page)
    assert page == "Hello from release 1\n"
    assert laptop.get("hello.example.com") == (200, page)
    line = f"ssh piku@{SERVER} ps hello"
    listed = laptop.does(line)
    transcript.show("ada@laptop$", line, listed)
    assert "wsgi.1" in listed


def test_root_does_what_belongs_to_piku_as_piku(
    box: Box, laptop: Laptop, transcript: Transcript
) -> None:
    said = box.run("piku", "config:set", "hello", "GREETING=hi").stdout
    assert "v2 is live" in said
    transcript.say("On the machine, root's commands are done as the user `piku`:")
    transcript.show("root@server#", "piku apps", box.run("piku", "apps").stdout)
    (box.root / "root/second.pub").write_text(laptop.key.replace("laptop", "another"))
    refused = box.sh("piku setup:ssh second.pub --name second", check=False)
    assert refused.returncode == 1
    assert "this key can already log in here" in refused.stdout
    laptop.does("ssh-keygen -q -t ed25519 -N '' -C tablet -f tablet")
    (box.root / "root/tablet.pub").write_text((laptop.home / "tablet.pub").read_text())
    (box.root / "root/tablet.pub").chmod(0o600)
    assert "Key 'tablet' may push" in box.sh("piku setup:ssh tablet.pub --name tablet").stdout
    assert "hello" in laptop.does(f"ssh -o IdentityFile=none -i tablet piku@{SERVER} apps")
    assert box.sh("find /var/lib/piku ! -user piku").stdout == ""
    box.run("useradd", "--create-home", "visitor")
    other = box.run(
        "runuser", "-u", "visitor", "--", "env", "HOME=/home/visitor", "piku", "apps", check=False
    )
    assert other.returncode == 1
    assert "belong to the user 'piku'" in other.stdout
    assert "sudo piku apps" in other.stdout
    running = box.run("piku", "up", check=False)
    assert running.returncode == 1
    assert "piku is already running" in running.stdout


def test_another_user_of_the_machine_sees_no_file(box: Box) -> None:
    def seen(command: str) -> str:
        shell = ("runuser", "-u", "visitor", "--", "sh", "-c")
        return box.run(*shell, f"{command} 2>/dev/null", check=False).stdout

    variables = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'"
    assert "HOME=/var/lib/piku\n" in box.sh(variables).stdout
    assert "HOME=/var/lib/piku\n" not in seen(variables)
    # But that there is a piku, and whose, so that its commands can say so.
    found = seen("find /var/lib/piku -mindepth 1 '(' -readable -o -writable ')' -print")
    assert found.split() == ["/var/lib/piku/.piku"]
    sockets = box.sh("ss -lxH | grep -o '/var/lib/piku/[^ ]*'").stdout.split()
    assert any("hello@" in place for place in sockets) and len(sockets) > 1
    for place in sockets:
        assert seen(f"curl --silent --unix-socket {place} http://hello/ || echo $?") == "7\n"


def test_the_cgroup_of_the_service_is_for_limits(box: Box) -> None:
    """What the machine has, which is what the one around it hands down."""
    offered = box.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split()
    said = box.run("piku", "config:set", "hello", "PIKU_NPROC_LIMIT=40", check=False)
    if "pids" in offered:
        assert said.returncode == 0, said.stdout
        unit = "/sys/fs/cgroup/system.slice/piku-emperor.service"
        assert box.sh(f"cat {unit}/app-hello@*/pids.max").stdout == "40\n"
        assert box.sh(f"cat {unit}/platform/cgroup.procs").stdout != ""
        box.run("piku", "config:unset", "hello", "PIKU_NPROC_LIMIT")
    else:
        assert said.returncode == 1
        assert "PIKU_NPROC_LIMIT=40 cannot be kept here" in said.stdout


def test_a_crash_is_mended(box: Box, laptop: Laptop) -> None:
    for unit in ("piku-nginx", "piku-emperor"):
        before = pids(box)[unit]
        box.run("kill", "-9", before)
        wait(
            lambda unit=unit, before=before: pids(box)[unit] not in ("0", before), f"{unit} is back"
        )  # type: ignore[misc]
        wait(lambda: laptop.get("hello.example.com")[0] == 200, "it answers")


def test_it_serves_after_a_reboot(box: Box, laptop: Laptop, transcript: Transcript) -> None:
    box.reboot()
    wait(lambda: laptop.get("hello.example.com")[0] == 200, "the app answers after a reboot")
    transcript.say("After a reboot everything serves again:")
    transcript.show("root@server#", "reboot", "")
    transcript.show(
        "ada@laptop$",
        "curl http://hello.example.com/",
        laptop.does("curl http://hello.example.com/"),
    )
    listed = box.run("systemctl", "--failed").stdout
    assert "0 loaded units" in listed, listed


def test_an_upgrade_loses_no_request(
    box: Box, laptop: Laptop, packages: tuple[Path, Path], transcript: Transcript
) -> None:
    before = pids(box)
    box.put(packages[1], packages[1].name)
    with Load(laptop, "hello.example.com") as load:
        said = box.sh(
            f"DEBIAN_FRONTEND=noninteractive apt install --yes ./{packages[1].name}"
        ).stdout
        wait(lambda: load.outcomes.total() > 200, "some load")
    assert set(load.outcomes) == {"200"}, load.outcomes
    assert box.run("piku", "--version").stdout == "piku 99.0\n"
    assert pids(box) == before
    assert "Traceback" not in said
    transcript.say(
        f"An upgrade to the next version, while four clients ask for the page again and again: "
        f"{load.outcomes.total()} requests, 0 failed."
    )
    (laptop.home / "hello/app.py").write_text(APP.replace('"Hello"', '"Hello again"'))
    assert "is live" in laptop.does(
        "git commit --quiet -am 'Another' && git push piku main", "hello"
    )
    assert laptop.get("hello.example.com")[1].startswith("Hello again")


def test_a_backup_is_made(box: Box) -> None:
    (box.root / "var/lib/piku/.piku/data/hello/precious").write_text("kept\n")
    backup, *_ = commands("Backups")
    box.sh(backup)


def test_removing_keeps_and_purging_asks(
    box: Box, laptop: Laptop, packages: tuple[Path, Path], transcript: Transcript
) -> None:
    apt = "DEBIAN_FRONTEND=noninteractive apt-get"
    said = box.sh(f"{apt} remove -q --yes piku").stdout
    assert "What belongs to them is in /var/lib/piku" in said
    with pytest.raises(OSError):
        laptop.get("hello.example.com")
    left = set(box.sh("ps -u piku -o comm=", check=False).stdout.split())
    assert left <= {"systemd", "(sd-pam)"}, left  # what a login leaves for some seconds
    box.sh(f"{apt} install -q --yes ./{packages[1].name}")
    wait(lambda: laptop.get("hello.example.com")[0] == 200, "the app is back with the package")

    said = box.sh(f"{apt} purge -q --yes piku").stdout
    assert "/var/lib/piku stays" in said
    assert (box.root / "var/lib/piku/.piku/data/hello/precious").read_text() == "kept\n"
    assert box.run("id", "piku").returncode == 0

    box.sh(f"{apt} install -q --yes ./{packages[1].name}")
    transcript.say(
        "`apt remove` and `apt purge` keep the apps and their data, unless told otherwise:"
    )
    line = "echo piku piku/purge-data boolean true | debconf-set-selections"
    box.sh(line)
    transcript.show("root@server#", line, "")
    said = box.sh(f"{apt} purge -q --yes piku").stdout
    shown = re.sub(r"\(Reading database[^\n]*\n|deluser:[^\n]*\n", "", said.replace("\r", "\n"))
    transcript.show("root@server#", "apt purge piku", shown[shown.index("Removing piku") :])
    assert "/var/lib/piku is removed" in said
    assert not (box.root / "var/lib/piku").exists()
    assert box.run("id", "piku", check=False).returncode == 1
    assert box.sh("ls /etc/default/piku /usr/share/piku", check=False).returncode == 2


def test_a_backup_comes_back_where_there_is_only_the_package(
    box: Box, laptop: Laptop, packages: tuple[Path, Path]
) -> None:
    box.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -q --yes ./{packages[1].name}")
    assert "hello" not in box.run("piku", "apps").stdout
    _, *restore = commands("Backups")
    for line in restore:
        box.sh(line)
    wait(lambda: laptop.get("hello.example.com")[0] == 200, "the app is back")
    assert laptop.get("hello.example.com")[1].startswith("Hello again from release ")
    assert (box.root / "var/lib/piku/.piku/data/hello/precious").read_text() == "kept\n"
    said = laptop.does("git commit --quiet --allow-empty -m 'After' && git push piku main", "hello")
    assert " is live after" in said
    findings = box.run("piku", "doctor", check=False)
    assert findings.returncode == 0, findings.stdout


def test_the_package_is_as_debian_wants_it(packages: tuple[Path, Path]) -> None:
    name = packages[0].name.removesuffix("_all.deb")
    [changes] = packages[0].parent.glob(f"{name}_*.changes")
    lintian = ["lintian", "--allow-root", "--tag-display-limit", "0", str(changes)]
    done = subprocess.run(lintian, check=False, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if line.startswith("E:")] == []
