"""The platform's own vassals."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.nginx.site import Site
from piku.operate import server
from piku.paths import Paths
from piku.uwsgi import emperor, housekeeping

SITE = Site(app="shop", names=("shop.example",))


def test_their_configuration(paths: Paths) -> None:
    calling = ["env", "PIKU_ROOT=/srv/50% piku", "/usr/bin/piku"]
    texts = housekeeping.configs(paths, calling, Path("/srv/src"))
    text = texts[paths.available / "@upkeep.ini"]
    line = "exec setpriv --pdeathsig TERM env 'PIKU_ROOT=/srv/50%% piku' /usr/bin/piku certs:renew --quiet\n"
    assert f"cron2 = minute=-5,unique=1 {line}" in text
    assert f"touch-exec = upkeep.request {line}" in text
    assert "upkeep --doze\n" in texts[paths.available / "@doze.ini"]
    assert "pythonpath = /srv/src\n" in texts[paths.available / "@waker.ini"]
    assert texts[paths.available / "@waker.ini.demand"] == str(paths.waker)
    with pytest.raises(PikuError, match="cannot be given to uWSGI"):
        housekeeping.configs(paths, ["piku$(reboot)"], Path("/srv/src"))


@pytest.mark.parametrize(
    ("idle", "drains", "expected"),
    [
        (0, False, ["@upkeep.ini"]),
        (0, True, ["@drain.ini", "@upkeep.ini"]),
        (60, False, ["@doze.ini", "@upkeep.ini", "@waker.ini", "@waker.ini.demand"]),
    ],
)
def test_each_is_there_while_it_is_needed(
    paths: Paths, idle: int, drains: bool, expected: list[str]
) -> None:
    sites = [Site(app="shop", names=("shop.example",), idle=idle)]
    housekeeping.follow(paths, sites, drains=drains)  # set up by something that does not know how
    assert not list(paths.enabled.iterdir())
    server.setup(paths, ["/usr/bin/piku"])
    for _ in range(2):
        housekeeping.follow(paths, sites, drains=drains)
        assert sorted(entry.name for entry in paths.enabled.iterdir()) == expected
    assert emperor.enabled(paths) == []  # they belong to no app
    housekeeping.follow(paths, [])
    assert not list(paths.enabled.iterdir())


def test_each_request_is_a_whole_second_later(paths: Paths) -> None:
    assert housekeeping.requested(paths) == 0
    seen = []
    for _ in range(3):
        housekeeping.ask(paths)
        seen.append(int(housekeeping.requested(paths)))
    assert seen == sorted(set(seen))
