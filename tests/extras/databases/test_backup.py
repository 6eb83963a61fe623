"""The databases of an app go where the app goes."""

from __future__ import annotations

from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.extras.databases import support
from tests.extras.databases.support import POSTGRES, REDIS, SQLITE


def test_a_copy_and_a_new_name(server: Sandbox, new_app: NewApp) -> None:
    kinds = (POSTGRES, REDIS, SQLITE)
    app = new_app("shop")
    for kind in kinds:
        app.does(f"{kind.name}:create", *(["--as", "FILE_URL"] if kind is SQLITE else []))
        support.add(server, kind, "shop", "one")
    place = server.home / "shop.backup"
    app.does("backup", str(place))
    for kind in kinds:
        support.tell(server, kind, "shop", kind.add.format("two").rpartition("; ")[2])
    said = server.piku("restore", str(place), "--as", "copy")
    assert said.returncode == 0, said.stdout + said.stderr
    for kind in kinds:
        assert support.notes(server, kind, "copy") == {"one"}
        assert support.notes(server, kind, "shop") == {"one", "two"}
    own, theirs = (server.piku("config", name).stdout for name in ("copy", "shop"))
    assert not set(own.splitlines()) & set(theirs.splitlines()) - {""}

    said = server.piku("apps:rename", "copy", "second")
    assert said.returncode == 0, said.stdout + said.stderr
    for kind in kinds:
        assert support.notes(server, kind, "second") == {"one"}
        assert "second (" in server.piku(f"{kind.name}:info", "second").stdout
    said = server.piku("postgres:info", "copy")
    assert said.returncode == 1 and "no app called" in said.stderr
