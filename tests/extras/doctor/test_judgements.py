"""What the doctor makes of facts that an unprivileged test cannot create."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from piku.extras.doctor import access, apps, context, names, services
from piku.extras.doctor.context import OK, PROBLEM, WARNING, Listener
from piku.operate.ps import Row
from piku.tls.certificate import Certificate

OWN = ["192.0.2.1", "8.8.4.4"]
AT_HOME = ["192.168.1.7", "2a01:4f8::7"]  # a router has its public IPv4 address


@pytest.mark.parametrize(
    ("addresses", "own", "severity", "fix"),
    [
        (["8.8.4.4"], OWN, OK, ""),
        (["127.0.1.1"], OWN, OK, ""),
        (["104.16.9.9"], OWN, OK, ""),
        (["9.9.9.9"], OWN, WARNING, "set the DNS record of shop.com to 8.8.4.4"),
        (["8.8.4.4", "9.9.9.9"], OWN, WARNING, "remove 9.9.9.9 from its DNS records"),
        ([], OWN, PROBLEM, "add a DNS record with 8.8.4.4"),
        (["9.9.9.9", "2a01:4f8::7"], AT_HOME, OK, ""),
        (["192.168.1.8"], AT_HOME, WARNING, "set the DNS record of shop.com to 2a01:4f8::7"),
        (["2620:fe::fe"], AT_HOME, WARNING, "set the DNS record of shop.com to 2a01:4f8::7"),
    ],
)
def test_names(addresses: list[str], own: list[str], severity: str, fix: str) -> None:
    found = names.judge_name("shop.com", addresses, own, ["104.16.0.0/13"])
    assert (found.severity, found.fix) == (severity, fix)


@pytest.mark.parametrize(
    ("days", "severity", "text"),
    [
        (80, OK, "is valid until"),
        (5, WARNING, "only valid until"),
        (-1, PROBLEM, "only valid until"),
    ],
)
def test_certificates(days: int, severity: str, text: str) -> None:
    now = 1_700_000_000
    until = now + days * 86400
    one = Certificate(
        path="", names=("shop.com",), issuer="CA", not_before=until - 90 * 86400, not_after=until,
        trusted=True, source="acme.sh",
    )  # fmt: skip
    found = names.judge_certificate("shop", ["shop.com"], one, now)
    assert (found.severity, text in found.what) == (severity, True)
    more = names.judge_certificate("shop", ["shop.com", "www.shop.com"], one, now)
    assert more.fix == "piku certs:renew shop"
    mine = names.judge_certificate("shop", ["www.shop.com"], replace(one, source="own"), now)
    assert mine.fix == "piku certs:add shop FILE", "nobody else can renew it"
    assert more.severity == (severity if severity == PROBLEM else WARNING)


@pytest.mark.parametrize(
    ("active", "enabled", "severities"),
    [
        ("active", "enabled", []),
        ("failed", "enabled", [PROBLEM]),
        ("active", "disabled", [WARNING]),
        ("inactive", "disabled", [PROBLEM, WARNING]),
    ],
)
def test_units(active: str, enabled: str, severities: list[str]) -> None:
    text = "Id=piku-nginx.service\nUser=piku\nActiveState={}\nResult=success\nUnitFileState={}\n"
    other = text.format("active", "enabled").replace("nginx", "emperor")
    units = context.parse_units(f"{text.format(active, enabled)}\n{other}")
    assert set(units) == {"piku-nginx", "piku-emperor"}
    found = list(services.judge_units(units))
    assert [one.severity for one in found] == severities


SS = """\
LISTEN 0      511          0.0.0.0:80        0.0.0.0:*    ino:1061 sk:1 cgroup:/x <->
LISTEN 0      5          127.0.0.1:8999      0.0.0.0:*    users:(("python3",pid=57,fd=3)) uid:1000 ino:9
LISTEN 0      128             [::]:22           [::]:*    ino:1062 sk:2 v6only:1 <->
"""


def test_listeners() -> None:
    root, own, six = context.parse_ss(SS)
    assert root == Listener(address="0.0.0.0", port=80, uid=0)  # noqa: S104
    assert own == Listener(address="127.0.0.1", port=8999, uid=1000, program="python3", pid=57)
    assert (six.address, six.port) == ("[::]", 22)


@pytest.mark.parametrize(
    ("commands", "active", "holder", "fix"),
    [
        (["/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 80 -container-ip 172.17.0.2"],
         ["nginx"], "a container", "sudo docker stop $(sudo docker ps -q --filter publish=80)"),
        (["/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2"],
         [], "another program", "stop what this shows: sudo ss -ltnp 'sport = :80'"),
        ([], ["apache2"], "apache2", "sudo systemctl disable --now apache2"),
        ([], ["apache2", "caddy"], "another program", "stop what this shows: sudo ss -ltnp 'sport = :80'"),
    ],
)  # fmt: skip
def test_who_holds_a_port(commands: list[str], active: list[str], holder: str, fix: str) -> None:
    """Only units that systemd knows are named."""
    listener = Listener(address="*", port=80, uid=0)
    assert services.name_holder(listener, commands, active) == (holder, fix)


def row(**values: object) -> Row:
    known: dict[str, object] = {
        "process": "web.1", "release": 1, "pid": 5, "state": "up", "uptime": 60,
        "address": "127.0.0.1:20117",
    }  # fmt: skip
    return Row(**{**known, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("places", "text", "fix"),
    [
        ([("127.0.0.1", 20117)], "web.1 listens at 127.0.0.1:20117", ""),
        ([("*", 20117)], "web.1 listens at 127.0.0.1:20117", ""),
        ([("127.0.0.1", 8999)], "web.1 listens at 127.0.0.1:8999, not at", "$PORT"),
        ([("[::1]", 20117)], "web.1 listens at [::1]:20117, not at", "$BIND_ADDRESS"),
        ([], "web.1 listens nowhere, not at 127.0.0.1:20117", "$PORT"),
    ],
)
def test_where_a_process_listens(places: list[tuple[str, int]], text: str, fix: str) -> None:
    listeners = [Listener(address=host, port=port, uid=1) for host, port in places]
    found = apps.judge_listeners(row(), listeners)
    assert found.what.startswith(text)
    assert found.fix == (f"have the program listen on {fix}" if fix else "")


@pytest.mark.parametrize("line", ["nonsense", "x" * 300 + r" a|b*c.[d]\e$", "ssh-rsa AAAA 'me'"])
def test_a_line_is_deleted_by_its_content(tmp_path: Path, line: str) -> None:
    file = tmp_path / "authorized_keys"
    others = ["y" + line[1:], line[:-1], "", "# nonsense "]
    file.write_text("\n".join([others[0], line, *others[1:]]) + "\n")
    command = access.delete_line(file, line, file.read_text().splitlines())
    for _ in range(2):  # another time it deletes nothing more
        subprocess.run(["sh", "-c", command], check=True)
        assert file.read_text().splitlines() == others
    assert re.match(r"sed -i ", command)


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ('FINGERPRINT=SHA256:x NAME=me /usr/bin/piku \\"$X\\"', "/usr/bin/piku"),
        (
            "FINGERPRINT=SHA256:x NAME=me PIKU_ROOT='/srv/my apps' '/opt/my piku/piku' x",
            "'/opt/my piku/piku'",
        ),
        ("/bin/true x", ""),
    ],
)
def test_the_program_of_a_key(command: str, program: str) -> None:
    found = access._COMMAND.search(f'restrict,command="{command}" ssh-ed25519 AAAA')
    assert (found[1] if found else "") == program
