"""What the doctor says of what a test cannot make: systemd's units, and hosts with addresses of their own."""

from __future__ import annotations

import base64
import struct

import pytest

from piku.extras.doctor import access, machine, names, services
from piku.extras.doctor.findings import OK, PROBLEM, WARNING, Finding
from piku.extras.doctor.names import Known

OWN = frozenset({"127.0.0.1", "192.0.2.1", "8.8.4.4"})
BEHIND_A_ROUTER = frozenset({"127.0.0.1", "192.168.1.7"})
AT_HOME = BEHIND_A_ROUTER | {"2a01:4f8::7"}  # with an IPv6 address that everybody knows


@pytest.mark.parametrize(
    ("said", "severities", "text"),
    [
        ({"ActiveState": "active", "UnitFileState": "enabled"}, [OK], "is active"),
        ({"ActiveState": "failed", "Result": "exit-code"}, [PROBLEM], "has failed (exit-code)"),
        (
            {"ActiveState": "inactive", "UnitFileState": "disabled"},
            [PROBLEM, WARNING],
            "is inactive",
        ),
        ({"ActiveState": "active", "UnitFileState": "disabled"}, [OK, WARNING], "is active"),
        ({"ActiveState": "active", "NRestarts": "7"}, [OK, WARNING], "is active"),
        ({}, [PROBLEM], "not known to systemd"),
    ],
)
def test_units(said: dict[str, str], severities: list[str], text: str) -> None:
    found = list(services.judged_unit("piku-nginx", said))
    assert [one.severity for one in found] == severities
    assert text in found[0].what
    assert all("piku-nginx" in one.fix for one in found if one.severity != OK)


def led(
    *addresses: str, own: frozenset[str] = OWN, error: str = "", absent: bool = False
) -> Finding:
    known = Known(addresses=addresses, error=error, absent=absent)
    (found,) = names.judged("shop.com", "shop", known, own, ["104.16.0.0/13"])
    return found


def test_names_against_the_addresses_of_this_host() -> None:
    assert led("8.8.4.4").severity == OK
    assert led("104.16.9.9", "104.17.0.1").severity == OK
    away = led("9.9.9.9")
    assert (away.severity, away.fix) == (WARNING, "have the DNS record of shop.com say 8.8.4.4")
    stale = led("8.8.4.4", "2620:fe::fe")
    assert stale.severity == WARNING and "take 2620:fe::fe out" in stale.fix
    # Whoever is behind a router has an address that nobody outside knows.
    assert led("9.9.9.9", own=BEHIND_A_ROUTER).severity == OK
    assert led("192.168.1.8", own=BEHIND_A_ROUTER).severity == WARNING
    assert led(error="Name or service not known", absent=True).severity == PROBLEM
    assert led(error="Temporary failure in name resolution").severity == WARNING


def test_names_are_judged_by_their_family_of_addresses() -> None:
    both = led("9.9.9.9", "2a01:4f8::7", own=AT_HOME)
    assert (both.severity, both.what.partition(";")[0]) == (
        OK,
        "shop.com leads here and to 9.9.9.9",
    )
    assert led("9.9.9.9", own=AT_HOME).severity == OK
    stale = led("9.9.9.9", "2620:fe::fe", own=AT_HOME)
    assert (stale.severity, stale.fix) == (
        WARNING,
        "take 2620:fe::fe out of the DNS records of shop.com",
    )
    away = led("2620:fe::fe", own=AT_HOME)
    assert away.fix == "have the DNS record of shop.com say 2a01:4f8::7"
    none = led(error="Name or service not known", absent=True, own=AT_HOME)
    assert (
        "says the public IPv4 address of the router before this server or 2a01:4f8::7" in none.fix
    )
    assert led("104.16.9.9", "2a01:4f8::7", own=AT_HOME).severity == OK


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1"])
def test_a_name_in_the_list_of_hosts(address: str) -> None:
    found = led(address)
    assert (found.severity, found.what) == (OK, f"shop.com leads here: {address}")


@pytest.mark.parametrize(
    ("own", "addresses", "expected"),
    [
        (BEHIND_A_ROUTER, ["104.16.9.9"], True),
        (BEHIND_A_ROUTER, ["9.9.9.9"], False),
        (BEHIND_A_ROUTER, ["192.168.1.9"], False),
        (BEHIND_A_ROUTER, ["127.0.1.1"], False),
        (AT_HOME, ["9.9.9.9"], False),
        (AT_HOME, ["9.9.9.9", "2a01:4f8::7"], False),
        (AT_HOME, ["2620:fe::fe"], True),
        (OWN, ["9.9.9.9"], True),
        (OWN, ["8.8.4.4"], False),
        (OWN, [], False),
    ],
)
def test_what_is_behind_a_proxy(
    own: frozenset[str], addresses: list[str], *, expected: bool
) -> None:
    known = Known(addresses=tuple(addresses))
    assert names.is_behind(names.sorted_out(known, own, ["104.16.0.0/13"])) == expected


def test_own_addresses_are_found() -> None:
    assert "127.0.0.1" in names.host_addresses()


@pytest.mark.parametrize(
    ("sizes", "severities"),
    [
        ({"MemTotal": 4000, "MemAvailable": 3000}, [OK]),
        ({"MemTotal": 4000, "MemAvailable": 20}, [PROBLEM]),
        ({"MemTotal": 4000, "MemAvailable": 200}, [WARNING]),
        ({"MemTotal": 900, "MemAvailable": 500}, [OK, WARNING]),  # no swap
        ({"MemTotal": 900, "MemAvailable": 500, "SwapTotal": 900, "SwapFree": 900}, [OK]),
        ({"MemTotal": 4000, "MemAvailable": 900, "SwapTotal": 900, "SwapFree": 9}, [OK, WARNING]),
    ],
)
def test_memory(sizes: dict[str, int], severities: list[str]) -> None:
    found = machine.judged_memory({name: size * 2**20 for name, size in sizes.items()})
    assert [one.severity for one in found] == severities


def key(kind: str = "ssh-ed25519", size: int = 32) -> str:
    parts = (kind.encode(), b"k" * size)
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()}"


LIMITS = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"
BOUND = f'command="FINGERPRINT=SHA256:x NAME=me /usr/bin/piku \\"$SSH_ORIGINAL_COMMAND\\"",{LIMITS}'


def test_entries_of_keys() -> None:
    entry = access.read(4, f"{BOUND} {key()} me@laptop")
    assert isinstance(entry, access.Entry)
    assert (entry.number, entry.name, entry.program) == (4, "me", "/usr/bin/piku")
    spaced = BOUND.replace("/usr/bin/piku", "PIKU_ROOT='/srv/my apps' '/opt/my piku/bin/piku'")
    entry = access.read(1, f"{spaced} {key()}")
    assert isinstance(entry, access.Entry)
    assert entry.program == "/opt/my piku/bin/piku"
    assert dict(entry.variables)["PIKU_ROOT"] == "/srv/my apps"
    # What is not piku's is left alone.
    for other in (
        key(),
        f"{key('ssh-rsa', 256)} a b",
        f'command="/bin/true" {key()}',
        f"no-pty {key()}",
    ):
        assert access.read(1, other) is None


@pytest.mark.parametrize(
    "line",
    [
        f"{BOUND} {key()[:40]}",
        f"{BOUND} ",
        BOUND[:60],
        f"{BOUND} {key().replace('ssh-ed25519', 'ssh-rsa')}",
        "ssh-ed25519 AAAA",
        "nonsense",
    ],
)
def test_entries_that_are_damaged(line: str) -> None:
    found = access.read(7, line)
    assert isinstance(found, Finding)
    assert (found.severity, found.what.startswith("line 7 of authorized_keys is damaged")) == (
        PROBLEM,
        True,
    )


def test_entries_that_lack_restrictions() -> None:
    found = access.read(1, f"{BOUND.replace('no-user-rc,', '')} {key()}")
    assert isinstance(found, Finding) and found.severity == WARNING
