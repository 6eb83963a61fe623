"""The record of an app's databases, and what of it reaches a server's files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import piku
from piku.errors import PikuError
from piku.extras.databases import backups, base, server
from piku.paths import AppName, AppPaths, Paths


def test_a_record_stays_when_the_app_is_destroyed(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    one = base.new("postgres", shop, "DATABASE_URL")
    base.put(shop, "postgres", one)
    assert base.of(shop) == (one,)
    base.keep(shop)
    shutil.rmtree(shop.envs)
    shutil.rmtree(shop.repo)
    assert base.of(shop) == (one,)
    assert base.everything(paths) == ([one], True)
    shop.repo.mkdir()
    other = base.new("redis", shop, "REDIS_URL")
    base.put(shop, "redis", other)
    assert set(base.of(shop)) == {one, other}
    for kind in ("postgres", "redis"):
        base.put(shop, kind, None)
    assert base.of(shop) == () and not list((paths.root / "databases").glob("*.json"))


def test_names_are_no_other_apps(paths: Paths) -> None:
    long = paths.app(AppName("a" * 63))
    names = {base.new("postgres", long, "DATABASE_URL").name for _ in range(3)}
    assert len(names) == 3 and all(len(name) < 64 for name in names)


def test_a_file_of_sqlite_is_called_as_the_app_is_now(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    base.put(shop, "sqlite", base.new("sqlite", shop, "DATABASE_URL"))
    shop.repo.rename(shop.repo.with_name("store"))
    store = paths.app(AppName("store"))
    store.envs.parent.mkdir(exist_ok=True)
    shop.envs.rename(store.envs)
    [one] = base.of(store)
    assert server.bound(paths, one).url == f"sqlite:///{paths.root}/data/store/database.sqlite3"


def test_a_damaged_record_is_its_apps_error(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    shop.envs.mkdir(parents=True)
    (shop.envs / "databases.json").write_text("{")
    with pytest.raises(PikuError, match="is damaged"):
        base.of(shop)
    assert base.everything(paths) == ([], False)


def test_a_server_goes_on_when_the_record_is_damaged(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    one = base.new("redis", shop, "REDIS_URL")
    base.put(shop, "redis", one)
    server.bound(paths, one).prepare()
    wanted = server.vassals(paths)
    assert list(wanted) == [f"@redis-{one.name}.ini"]
    for name, text in {**wanted, "@drain-shop.ini": "another extra's"}.items():
        (paths.enabled / name).write_text(text)
    (shop.envs / "databases.json").write_text("{")
    assert server.vassals(paths) == wanted
    base._places(shop)[0].write_text('{"databases": []}')
    assert server.vassals(paths) == {}


def test_a_kind_of_another_version(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    base.put(shop, "oracle", base.new("oracle", shop, "ORACLE_URL"))
    assert server.vassals(paths) == {}
    assert list(server.visible(shop, {})) == []


def test_walls_open_for_an_address_that_is_known_whole(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir(parents=True)
    one = base.new("redis", shop, "REDIS_URL")
    base.put(shop, "redis", one)
    kind = server.bound(paths, one)
    assert list(server.visible(shop, {"ANY": kind.url})) == [str(kind.visible)]
    assert list(server.visible(shop, {"ANY": kind.url.replace(one.password, "guessed")})) == []


@pytest.mark.parametrize("name", ["oracle.database-url", "postgres", "uploads"])
def test_a_dump_of_something_else(paths: Paths, shop: AppPaths, name: str) -> None:
    assert backups.load(paths, shop, name) is None


def test_who_has_no_database_loads_nothing() -> None:
    text = """
import sys
from pathlib import Path
from piku.extras.databases import hooks
from piku.paths import AppName, Paths
paths = Paths(root=Path("/nowhere"), home=Path("/nowhere"))
assert hooks.vassals(paths, ()) == {} and not list(hooks.visible(paths.app(AppName("shop")), {}))
hooks.starting(paths)
assert "piku.extras.databases.server" not in sys.modules
"""
    source = str(Path(piku.__file__).parents[1])
    subprocess.run([sys.executable, "-c", text], check=True, env={"PYTHONPATH": source})
