"""Run by test_new_version.py, where /usr/lib/postgresql/later is to become a version that Debian has not."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.support import refused
from tests.extras.databases import support
from tests.extras.databases.support import POSTGRES

INSTALLED = Path("/usr/lib/postgresql")


def version(server: Sandbox, app: str) -> int:
    found = re.search(r"  (\d+)\.\d+", server.piku("postgres:info", app).stdout)
    assert found
    return int(found[1])


def check_all_commands(server: Sandbox, app: str) -> None:
    """Dump, restore, backup and copy, as the app has one note."""
    dump = support.dumped(server, POSTGRES, app)
    support.add(server, POSTGRES, app, "two")
    assert support.restored(server, POSTGRES, app, dump).returncode == 0
    assert support.notes(server, POSTGRES, app) == {"one"}
    for words in (["apps:clone", app, f"{app}-2"], ["postgres:destroy", f"{app}-2", "--force"]):
        done = server.piku(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert server.piku("destroy", f"{app}-2", "--force").returncode == 0


def test_the_way_to_it(server: Sandbox) -> None:
    support.create(server, POSTGRES, "shop")
    support.add(server, POSTGRES, "shop", "one")
    old, address = version(server, "shop"), server.piku("config", "shop").stdout
    backup = server.home / "shop.backup"
    assert server.piku("backup", "shop", str(backup)).returncode == 0

    # The new version is installed as well: everything goes on with the old one.
    new = old + 2
    (INSTALLED / "later").rename(INSTALLED / str(new))
    server.stop_platform()
    server.start_platform()
    check_all_commands(server, "shop")
    assert version(server, "shop") == old

    # The three steps of docs/databases.md.
    dump = support.dumped(server, POSTGRES, "shop")
    server.stop_platform()
    cluster = server.root / "databases" / "postgres" / "cluster"
    cluster.rename(cluster.with_name("cluster.old"))
    server.start_platform()
    done = support.restored(server, POSTGRES, "shop", dump)
    assert done.returncode == 0, done.stdout + done.stderr
    assert version(server, "shop") == new
    assert support.notes(server, POSTGRES, "shop") == {"one"}
    assert server.piku("config", "shop").stdout == address
    check_all_commands(server, "shop")

    # A backup of the old one is restored by the new one.
    done = server.piku("restore", str(backup), "--as", "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert support.notes(server, POSTGRES, "copy") == {"one"}

    # And the way back: a dump of the new one is not for the old one.
    newer = support.dumped(server, POSTGRES, "shop")
    server.stop_platform()
    cluster.rename(cluster.with_name("cluster.new"))
    cluster.with_name("cluster.old").rename(cluster)
    server.start_platform()
    assert version(server, "shop") == old
    refused(support.restored(server, POSTGRES, "shop", newer), 1, "unsupported version")
    assert support.notes(server, POSTGRES, "shop") == {"one"}
