"""Renames that are killed at any of their changes, and a move to another server under load."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import maker, started
from tests.e2e.support import App, ssh_with
from tests.faults.killed import KILL, at_moment

ROUNDS = int(os.environ.get("ROUNDS", "50"))


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    yield from started()


def finished(server: Sandbox, said: str) -> None:
    """Wait until the rename is done: the platform's own housekeeping may be at it as well."""
    try:
        server.wait(lambda: not list((server.root / "releases").glob("*@rename.json")), 150)
    except TimeoutError:
        folder = server.root / "releases"
        places = [str(path.relative_to(server.root)) for path in server.root.glob("*/*")]
        locks = {path.name: path.read_text() for path in folder.glob("*lock")}
        log = (server.root / "uwsgi" / "housekeeping.log").read_text()
        pytest.fail("\n".join((said, *places, str(locks), log[-3000:])))


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_a_rename_is_killed_at_each_step(server: Sandbox) -> None:
    """One app, whole, under one of its names, after the next command or the next housekeeping."""
    one = maker(server)("one")
    names = ["one", "two"]
    (one.data / "kept").write_text("kept")
    one.does("config:set", "A=1")
    one.does("ps:scale", "web=2")

    def app() -> App:
        return App(server=server, name=names[0], repository=one.repository)

    def check() -> None:
        assert [place.name for place in (server.root / "repos").iterdir()] == [names[0]]
        assert app().body(host="one.localhost") == "one"
        assert (app().data / "kept").read_text() == "kept"
        assert not (server.root / "data" / names[1]).exists()
        assert (server.root / "envs" / names[0] / "ENV").read_text() == "A=1\n"
        places = (server.root / "uwsgi-enabled").iterdir()
        enabled = sorted(place.name for place in places if not place.name.startswith("@"))
        assert [name.partition("@")[0] for name in enabled] == [names[0]] * 2

    log = server.base / "moments"
    at_moment(app(), 0, "true", "apps:rename", *names, log=log)
    names.reverse()
    check()
    events = (line.split("\t") for line in log.read_text().splitlines())
    changes = [path for _, event, path in events if event not in ("fsync", "renamed")]
    count = sum(one != before for before, one in itertools.pairwise(["", *changes]))
    killed = 0
    for number in range(ROUNDS):
        moment = 1 + number * count // ROUNDS
        done = at_moment(app(), moment, KILL, "apps:rename", *names, log=log)
        if done.returncode == 0:
            names.reverse()
        else:
            killed += 1
            again = "housekeeping" if number % 2 else "apps:rename"
            repeated = server.piku(again, *(names if again == "apps:rename" else ()))
            finished(server, f"{repeated.stdout}{repeated.stderr}")
            apps = [place.name for place in (server.root / "repos").iterdir()]
            assert apps in (["one"], ["two"]), repeated.stdout + repeated.stderr
            if apps != [names[0]]:
                names.reverse()
        print(f"round {number}: moment {moment} of {count}, code {done.returncode}", flush=True)
        check()
    assert killed > ROUNDS // 2
    assert sorted(app().ps()) == ["web.1", "web.2"]


def test_a_move_under_load(server: Sandbox) -> None:
    """What was written and answered for is there; how long it was away is printed."""
    for other in started():
        programs = server.base / "bin"
        key = server.keygen(server.base / "mover")
        public = (server.base / "mover.pub").read_text()
        assert other.piku("setup:ssh", "-", "--name", "mover", input=public).returncode == 0
        ssh_with(programs, other.ssh_options(key))
        moved_under_load(server, other, {"PATH": f"{programs}:{server.server_env()['PATH']}"})


def moved_under_load(server: Sandbox, other: Sandbox, env: dict[str, str]) -> None:
    app = maker(server)("shop")
    there = App(server=other, name="shop", repository=app.repository)
    done, written, times = threading.Event(), list[str](), list[float]()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            for place in (app, there):
                with suppress(OSError):
                    name = f"{place.data}/n{number}"
                    status, _, body = place.server.get(
                        "shop.localhost", f"/write?file={name}&text=x"
                    )
                    if (status, body) == (200, b"written"):
                        written.append(f"n{number}")
                        times.append(time.monotonic())
                        break

    writer = threading.Thread(target=write)
    writer.start()
    try:
        server.wait(lambda: len(written) > 100)
        target = f"{other.user}@{HOST}"
        moved = server.piku("apps:move", "shop", target, env=env)
        assert moved.returncode == 0, moved.stdout + moved.stderr
        count = len(written)
        server.wait(lambda: len(written) > count + 20)
    finally:
        done.set()
        writer.join()
    found = {path.name for path in there.data.iterdir()}
    assert set(written) <= found
    away = max(later - earlier for earlier, later in itertools.pairwise(times))
    print(f"{len(written)} requests, away for {away:.1f} s", moved.stdout)
    assert there.body() == "one" and app.status() == 503
    # And it could be started again where it was.
    refused = server.piku("apps:move", "shop", target, env=env)
    assert refused.returncode == 1 and "already an app called 'shop'" in refused.stderr
    assert there.says("apps:move", "nowhere").returncode == 2
    app.does("restart")
    assert app.body() == "one"
