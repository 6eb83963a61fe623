"""Promise 1: a deploy that is killed anywhere leaves exactly the old release or exactly the new one, and
what comes next needs no repair by hand."""

import contextlib
import os
import random
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox, free_ports

from piku.deploy.deployment import STEPS
from tests.faults.killed import KILL, Session, at_moment, check_sane, kill
from tests.faults.support import App, Watch, new_app, said, side_by_side, succeeded

KILLS = 2  # at random moments, in each of four lanes
WEB = "web: exec python3 server.py\n"


def check_killed(app: App, result: Completed, old: str, commit: str, step: str = "") -> None:
    """The push that was killed says so, and what runs."""
    text = said(result)
    assert "Traceback" not in text
    if app.body() == app.version != old:  # past the commit point
        assert result.returncode == 0, text
    else:
        assert result.returncode == 1, text
        assert "the deploy was killed" in text, text
        assert "still runs, as before" in text, text
        assert app.branch() == commit
        if step:
            assert app.newest()["reason"] == f"interrupted at {step}"
    check_sane(app, old, app.version)


# --- at each step of the runbook ------------------------------------------------------------------------


def suicide(app: App) -> str:
    """Shell words that kill the process that deploys the app."""
    return f"kill -9 $(sed 's/.*(process //; s/,.*//' {shlex.quote(str(app.lock))})"


def at_each_step_that_runs_something_of_the_app(server: Sandbox) -> None:
    app = new_app(server, "steps", "web", Procfile=f"{WEB}worker: exec sleep 1000\n")
    changes = {
        "preflight": f"{WEB}preflight: {suicide(app)}; echo on and on; sleep 1000\n",
        "release": f"{WEB}release: {suicide(app)}; sleep 1000\n",
        # It goes on writing into the checkout that is removed behind it.
        "start": f"web: {suicide(app)}; while mkdir -p $((n += 1)); do :; done\n",
        "workers": f"{WEB}worker: {suicide(app)}; exec sleep 1000\n",
    }
    for step, procfile in changes.items():
        old, commit = app.version, app.branch()
        with Watch(app, old):
            result = app.push({"Procfile": procfile})
            check_killed(app, result, old, commit, step)
        app.forget_last()
        app.deploy()  # the next one works, without any repair


def while_the_old_release_is_down(server: Sandbox) -> None:
    """With a fixed port: what was stopped for the new release comes back, before the push ends."""
    app = new_app(server, "port", "web", f"PORT={free_ports(1)[0]}\n")
    old, commit = app.version, app.branch()
    result = app.push({"Procfile": f"web: {suicide(app)}; exec python3 server.py\n"})
    check_killed(app, result, old, commit, "start")
    app.forget_last()
    app.deploy()


def while_the_environment_is_built(server: Sandbox) -> None:
    """A build does not end with the deploy that began it: nothing of what it makes is ever used."""
    app = new_app(server, "builds", "web")
    old, commit = app.version, app.branch()
    python = 'web: exec "$VIRTUAL_ENV"/bin/python server.py\n'
    environments = server.root / "envs" / app.name
    app.commit({"requirements.txt": "# none\n", "Procfile": python})
    with Watch(app, old, app.version), ThreadPoolExecutor() as pool:
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: [*environments.glob("python-*/bin/python")])
        kill(Session(app).deploying())
        check_killed(app, push.result(), old, commit, "build")
        # The same commit once more: its environment has the same name.
        text = said(server.push(app.repository, app.name))
        assert "Python (requirements.txt): building python-" in text, text
        assert "is live after" in text
    check_sane(app, app.version)
    assert len([*environments.glob("python-*")]) == 1
    succeeded(server.piku("run", app.name, "--", "pip", "check"))


def at_the_beginning_of_each_step(server: Sandbox) -> None:
    """`piku deploy`, killed at the first change of each step; each mends what the one before has left.

    test_every_moment.py does this at every change.
    """
    procfile = f"{WEB}worker: exec sleep 1000\npreflight: true\nrelease: true\n"
    app = new_app(server, "begins", "web", Procfile=procfile)
    for step in STEPS:
        old = app.body()
        app.offer()
        with Watch(app, old, app.version):
            result = at_moment(app, step, KILL, "deploy", app.name)
            assert result.returncode == -signal.SIGKILL, f"{step} was never begun"
            assert app.newest()["step"] == step
            assert app.body() in (old, app.version)
    app.deploy()
    check_sane(app, app.version)


def during_the_switch(server: Sandbox) -> None:
    """While requests of before are still being answered: the new release is live, and these end well."""
    app = new_app(server, "switch", "web", Procfile=f"{WEB}cron-rare: @yearly true\n")
    with Watch(app, app.version, f"v{app.number + 1}"), ThreadPoolExecutor() as pool:
        slow = [pool.submit(server.get, app.host, "/slow") for _ in range(3)]
        app.commit()
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: app.newest()["step"] == "switch" and app.body() == app.version)
        kill(Session(app).deploying())
        result = push.result()
        assert [answer.result()[0] for answer in slow] == [200, 200, 200]
    assert result.returncode == 0, result.stdout
    check_sane(app, app.version)
    [start] = [
        name.partition("@")[2].partition(".")[0] for name in app.vassals() if "._cron" in name
    ]
    release = app.releases_folder / "starts" / start / "_cron.1.env" / "PIKU_RELEASE"
    assert int(release.read_text()) == app.newest()["number"], (
        "its jobs are the new release's, once"
    )
    app.deploy()


def right_after_the_commit(server: Sandbox) -> None:
    """The new processes run and are live, but neither nginx nor the scheduled jobs have followed yet."""
    app = new_app(server, "committed", "wsgi", Procfile="wsgi: app:app\ncron-rare: @yearly true\n")
    begin = f"import os, sys; sys.path[:0] = {[str(server.checkout / 'src'), '/usr/lib/python3/dist-packages']}"
    # It counts while it holds the lock: housekeeping would see to it afterwards.
    enabled = str(server.root / "uwsgi-enabled")
    count = f"sum(name.startswith('{app.name}@') for name in os.listdir({enabled!r}))"
    end = f"from piku.deploy import reconcile; reconcile.reconcile = lambda *_, **__: os._exit({count})"
    run = f"from piku.__main__ import main; sys.argv = ['piku', 'restart', '{app.name}']; main()"
    with Watch(app, app.version):
        killed = subprocess.run(
            ["/usr/bin/python3", "-IS", "-c", "; ".join((begin, end, run))],
            env=server.server_env(), capture_output=True, check=False,
        )  # fmt: skip
        assert killed.returncode == 3, killed.stderr  # two of wsgi, and one that knows the schedule
        succeeded(server.piku("restart", app.name))
    check_sane(app, app.version)


# --- at any moment --------------------------------------------------------------------------------------


def kill_at_random(server: Sandbox, name: str, kind: str, seed: int, count: int) -> None:
    """Kill deploys after delays over the length of one: the deploying process, or all of its session."""
    app = new_app(server, name, kind)
    chance = random.Random(seed)
    begun = time.monotonic()
    app.deploy()
    length = time.monotonic() - begun
    for number in range(count):
        old, commit = app.body(), app.branch()
        whole = number % 2 == 1
        app.commit()
        with Watch(app, old, app.version):
            with ThreadPoolExecutor() as pool:
                push = pool.submit(server.push, app.repository, app.name)
                time.sleep(chance.uniform(0.2, 1.0) * length)
                session = Session(app)
                victims = session.all() if whole else session.deploying()
                kill(victims)
                result = push.result()
            if not whole and victims:
                check_killed(app, result, old, commit) if result.returncode else check_sane(
                    app, app.version
                )
            else:
                # Nobody is left to mend anything: what is shown must make sense even so.
                [live] = [release for release in app.releases() if release["live"]]
                assert app.body() in (old, app.version)
                assert live["outcome"] in ("succeeded", "building")
                succeeded(server.piku("restart", app.name))
                check_sane(app, old, app.version)
        if app.body() == old != app.version:
            server.git(app.repository, "reset", "--quiet", "--hard", app.branch())
    app.deploy()
    check_sane(app, app.version)

    def unfinished() -> list[Path]:
        with contextlib.suppress(FileNotFoundError):  # housekeeping may be at it
            return [*app.releases_folder.rglob("*.tmp"), *server.root.glob(f"*/.{app.name}@*.tmp")]
        return unfinished()

    server.wait(lambda: not unfinished(), what="nothing of what was being written is left")


def what_a_killed_git_leaves(server: Sandbox) -> None:
    """Locks of git's that nobody holds are in nobody's way; one that somebody may hold is left alone."""
    app = new_app(server, "locked", "web")
    repository = server.root / "repos" / app.name
    for name in ("HEAD.lock", "refs/heads/main.lock", "packed-refs.lock"):
        (repository / name).touch()
    app.deploy()
    (repository / "packed-refs.lock").touch()
    succeeded(server.piku("config:set", app.name, "COLOUR=blue"))
    assert not list(repository.rglob("*.lock"))
    gate = server.base / "locked-gate"
    app.commit({"Procfile": f"{WEB}preflight: until test -e {gate}; do sleep 0.02; done\n"})
    with ThreadPoolExecutor() as pool:
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: app.newest()["step"] == "preflight")
        (repository / "HEAD.lock").touch()
        app.commit()
        other = server.push(app.repository, app.name)
        assert other.returncode == 1 and "HEAD.lock" in said(other)
        gate.touch()
        succeeded(push.result())
    succeeded(server.push(app.repository, app.name))
    assert app.body() == app.version


# --- people --------------------------------------------------------------------------------------------


def the_client_goes_away(server: Sandbox) -> None:
    app = new_app(server, "gone", "web")
    gate = server.base / "gate"
    app.commit(
        {
            "Procfile": f"{WEB}preflight: until test -e {gate}; do sleep 0.02; done; echo the gate $(echo is open)\n"
        }
    )
    with subprocess.Popen(
        ["git", "push", server.remote(app.name), "main"],
        cwd=app.repository, env=server.git_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as client:  # fmt: skip
        server.wait(lambda: app.newest()["step"] == "preflight")
        os.killpg(client.pid, signal.SIGKILL)
    log = server.root / "logs" / app.name / "build.log"
    assert "the gate is open" not in log.read_text()
    gate.touch()
    server.wait(lambda: app.body() == app.version, what="the deploy went on")
    server.wait(lambda: "v2 is live after" in log.read_text(), what="its output is kept")
    assert "the gate is open" in log.read_text()
    server.wait(lambda: not Session(app).all())
    check_sane(app, app.version)
    assert app.branch() == app.server.git(app.repository, "rev-parse", "HEAD").stdout.strip()


def a_change_waits_for_a_push(server: Sandbox) -> None:
    app = new_app(server, "waits", "web")
    gate = server.base / "other-gate"
    app.commit({"Procfile": f"{WEB}preflight: until test -e {gate}; do sleep 0.02; done\n"})
    with ThreadPoolExecutor() as pool:
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: app.newest()["step"] == "preflight")
        change = subprocess.Popen(
            [str(server.checkout / "bin" / "piku"), "config:set", app.name, "COLOUR=blue"],
            env=server.server_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert change.stdout is not None
        with change:
            first = change.stdout.readline()
            gate.touch()
            assert "Waiting for a push by laptop " in first, first
            assert "v3 is live after" in change.stdout.read()
        assert change.returncode == 0
        succeeded(push.result())
    assert app.body() == app.version
    assert succeeded(server.piku("config:get", app.name, "COLOUR")) == "blue\n"


# --- a full disk ---------------------------------------------------------------------------------------


def no_room_to_write(server: Sandbox, room: int) -> None:
    """Every file that would be larger than so many bytes cannot be written, as if the disk were full."""
    app = App(server=server, name="full", repository=server.client / "full")
    if not app.repository.exists():
        app = new_app(server, "full", "web")
    else:
        app.number = int(app.body().removeprefix("v"))
    # Python would keep a half-written .pyc, and choke on it ever after: none is to be written below.
    succeeded(server.piku("deploy", app.name))
    succeeded(server.piku("config:set", app.name, f"NOTE={room}"))
    old = app.version
    limited = ["prlimit", f"--fsize={room}", str(server.checkout / "bin" / "piku")]
    with Watch(app, old):
        for command in (
            ["deploy", app.name],
            ["config:set", app.name, "NOTE=" + "x" * (room + 5000)],
        ):
            result = subprocess.run(
                [*limited, *command],
                env=server.server_env(),
                capture_output=True,
                text=True,
                check=False,
            )
            text = result.stdout + result.stderr
            # That much is enough for a deploy.
            enough = room == 30000 and command[0] == "deploy"
            assert result.returncode == int(not enough), text
            assert enough or "File too large" in text, text
            assert "Traceback" not in text
            check_sane(app, old)
    app.deploy()


# --------------------------------------------------------------------------------------------------------


def cases(server: Sandbox) -> list[tuple[str, str, Callable[[], None]]]:
    """What is tried on the one server, lane by lane."""
    return [
        ("a", "at each step", partial(at_each_step_that_runs_something_of_the_app, server)),
        ("b", "at the beginning of each step", partial(at_the_beginning_of_each_step, server)),
        ("b", "the client goes away", partial(the_client_goes_away, server)),
        ("c", "during the build", partial(while_the_environment_is_built, server)),
        ("c", "during the switch", partial(during_the_switch, server)),
        ("c", "right after the commit", partial(right_after_the_commit, server)),
        ("c", "while nothing runs", partial(while_the_old_release_is_down, server)),
        ("c", "what git leaves", partial(what_a_killed_git_leaves, server)),
        ("c", "a change waits for a push", partial(a_change_waits_for_a_push, server)),
        *(
            ("d", f"room for {room} bytes", partial(no_room_to_write, server, room))
            for room in (0, 300, 30000)
        ),
        *(
            (
                f"e{lane}",
                f"at any moment, {lane}",
                partial(kill_at_random, server, f"random-{lane}", kind, lane, KILLS),
            )
            for lane, kind in enumerate(("web", "wsgi", "web", "wsgi"))
        ),
    ]


NAMES = [name for _, name, _ in cases(None)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcomes(server: Sandbox) -> Iterator[dict[str, Future[None]]]:
    with side_by_side(cases(server)) as found:
        yield found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_killed(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result(timeout=250)
