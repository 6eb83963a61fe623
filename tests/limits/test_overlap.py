"""Limits while an app changes: releases that overlap, scaling, sleep, and the platform's own restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.limits.conftest import Groups, Hungry, started
from tests.limits.support import (
    PATIENCE,
    about,
    eat,
    group_in,
    group_of,
    is_back,
    left,
    limits,
    told,
)


def test_the_limit_is_for_all_processes_together_also_those_that_come_later(hungry: Hungry) -> None:
    app = hungry(
        "together", "web", "PIKU_MEMORY_LIMIT=64M\n", "worker: exec python3 -IS hungry.py work\n"
    )
    first = about(app)["pid"]
    app.does("ps:scale", "web=2")
    seen: dict[str, str] = {}

    def both() -> bool:
        answer = about(app)
        seen[answer["pid"]] = group_in(app, answer["cgroup"])
        return len(seen) == 2

    app.server.wait(both, timeout=PATIENCE)
    assert first in seen
    assert len({group.partition("/")[0] for group in seen.values()}) == 1
    assert {group.partition("/")[2] for group in seen.values()} == {"web.1", "web.2"}
    assert "/app-together@" in app.does("logs", "worker", "--no-follow")
    assert eat(app, 20) and eat(app, 20)  # nginx takes turns
    assert not (eat(app, 20) and eat(app, 20))
    app.server.wait(lambda: "killed" in limits(app), timeout=PATIENCE)


def test_a_new_release_has_room_beside_the_old_one(hungry: Hungry, given: Path) -> None:
    app = hungry("twice", "wsgi", "PIKU_MEMORY_LIMIT=64M\n", greedy_txt="30")
    [old] = left(given, "twice")
    app.commit(greedy_txt="31")
    app.deployed()
    assert "killed" not in limits(app)
    app.does("restart")  # the group of a process goes when the app is reconciled after its end
    assert old not in left(given, "twice")


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_a_release_that_takes_too_much_at_its_start_fails_and_says_why(
    hungry: Hungry, kind: str
) -> None:
    app = hungry(f"greedy-{kind}", kind, "PIKU_MEMORY_LIMIT=64M\n")
    app.commit(greedy_txt="100")
    said = "\n".join(app.failed())
    assert "it was killed, for the app used more than PIKU_MEMORY_LIMIT" in said
    assert "still runs, as before" in said
    assert app.body() == "one"


def test_an_app_that_sleeps_wakes_within_its_limits(hungry: Hungry) -> None:
    app = hungry("sleeper", "wsgi", "PIKU_MEMORY_LIMIT=64M\nUWSGI_IDLE=1\n")
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep", timeout=PATIENCE)
    assert group_of(app).endswith("/wsgi.1")
    assert not eat(app, 100)
    is_back(app)


def test_limits_hold_after_the_platform_was_started_again(groups: Groups, hungry: Hungry) -> None:
    given = groups.new()
    with started(given) as server:
        app = hungry("again", "wsgi", "PIKU_MEMORY_LIMIT=64M\n", on=server)
        server.stop_platform()
        for folder in sorted((p for p in given.rglob("*") if p.is_dir()), reverse=True):
            folder.rmdir()  # as a service manager does
        given.rmdir()
        given.mkdir()
        server.start_platform()
        is_back(app)
        assert not eat(app, 100)
        is_back(app)
        assert told(app) == 1


def test_without_groups_at_the_next_start_an_app_still_runs(groups: Groups, hungry: Hungry) -> None:
    with started(groups.new()) as server:
        app = hungry("lost", "web", "PIKU_MEMORY_LIMIT=64M\nPIKU_CPU_LIMIT=0.5\n", on=server)
        server.stop_platform()
        server.prefix = ()
        server.start_platform()
        is_back(app)
        assert "PIKU_CPU_LIMIT=0.5 is not kept" in app.does("logs", "--no-follow")
