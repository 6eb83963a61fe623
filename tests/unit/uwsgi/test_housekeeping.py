"""The platform's own vassals."""

from __future__ import annotations

import pytest

from piku.errors import PikuError
from piku.operate import server
from piku.paths import Paths
from piku.uwsgi import emperor, housekeeping


def test_its_configuration(paths: Paths) -> None:
    calling = ["env", "PIKU_ROOT=/srv/50% piku", "/usr/bin/piku"]
    text = housekeeping.config(paths, calling)
    line = "exec setpriv --pdeathsig TERM env 'PIKU_ROOT=/srv/50%% piku' /usr/bin/piku housekeeping"
    assert f"cron2 = minute=-2,unique=1 {line}\n" in text
    assert f"touch-exec = housekeeping.request {line}\n" in text
    with pytest.raises(PikuError, match="cannot be given to uWSGI"):
        housekeeping.config(paths, ["piku$(reboot)"])


def test_it_is_there_once_the_server_is_set_up(paths: Paths) -> None:
    housekeeping.follow(paths, [])  # set up by something that does not know how
    assert not list(paths.enabled.iterdir())
    server.setup(paths, ["/usr/bin/piku"])
    (paths.enabled / "@old.ini").symlink_to("gone")
    for _ in range(2):
        housekeeping.follow(paths, [])
        assert [entry.name for entry in paths.enabled.iterdir()] == ["@housekeeping.ini"]
    assert emperor.enabled(paths) == []  # it belongs to no app


def test_each_request_is_a_whole_second_later(paths: Paths) -> None:
    assert housekeeping.requested(paths) == 0
    seen = []
    for _ in range(3):
        housekeeping.ask(paths)
        seen.append(int(housekeeping.requested(paths)))
    assert seen == sorted(set(seen))
