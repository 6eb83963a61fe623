"""Round after round, the deploy, git, nginx or the emperor is killed at a random moment of a deploy:
what is live serves, what comes next needs no repair, and in the end nothing is left of it.

make test-faults ARGS="-n 0 -s -k rounds ROUNDS=100 SEED=anything": so many, and which.
"""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

import processes
import pytest
from laptop import run
from sandbox import Sandbox, SandboxError

from piku import procfs
from piku.deploy.deployment import STEPS
from tests.faults.killed import KILL, Session, at_moment, check_sane, kill, moments
from tests.faults.support import App, new_app, said, succeeded
from tests.soak import inventory

ROUNDS = int(os.environ.get("ROUNDS", "6"))
SEED = os.environ.get("SEED") or time.strftime("%F")
SETTINGS = "PIKU_KEEP_RELEASES=2\nPIKU_DEPLOY_TIMEOUT=20\n"
UNCOUNTED = ("renamed", "fsync")  # of what at_moment.py notes
WEB = "web: exec python3 server.py\nworker: exec sleep 1000\npreflight: true\nrelease: true\n"
# What pushes that were killed had received, which stays for a day, logs, and where uWSGI works.
BOUNDED = re.compile(r"^file .*(/logs/.*|\.log(\.N|\.old)*|/tmp_objdir-[^/]*)$|^descriptors of ")


@dataclass
class Rounds:
    server: Sandbox
    apps: list[App]
    chance: random.Random
    changes: dict[str, int]  # of a deploy of each app
    done: Counter[str] = field(default_factory=Counter)

    def go(self) -> None:
        victim, app = self.chance.choice([*VICTIMS]), self.chance.choice(self.apps)
        before = [app.body(), app.version]
        where = VICTIMS[victim](self, app)
        told = f"{victim} of {app.name}, {where}"
        print(f"{sum(self.done.values()) + 1}: {told}", flush=True)
        self.done[victim] += 1
        if victim in ("deploy", "git"):  # the next command puts it right
            succeeded(self.server.piku("restart", app.name))
        check_sane(app, *before, app.version)
        for other in self.apps:
            self.server.wait(lambda other=other: other.body().startswith("v"), what=told)  # type: ignore[misc]

    def moment(self, app: App) -> int:
        return self.chance.randint(1, self.changes[app.name])

    def deploy(self, app: App) -> str:
        """The process that deploys, before any change that it makes."""
        old, moment = app.body(), self.moment(app)
        app.offer()
        result = at_moment(app, moment, KILL, "deploy", app.name)
        assert result.returncode in (0, -signal.SIGKILL), said(result)
        assert app.body() in (old, f"v{app.number - 1}", app.version)
        return f"at change {moment}{'' if result.returncode else ', which it did not reach'}"

    def git(self, app: App) -> str:
        """The programs of git that serve a push, once it has come to a step of its deploy."""
        step = self.chance.choice(["", *STEPS])
        session, last = Session(app), app.newest()["number"]
        app.commit()

        def victims() -> list[processes.Process]:
            newest = app.newest()
            if step and not (newest["number"] > last and newest["step"] == step):
                return []
            return [one for one in session.all() if re.match(r"\d+ (\S*/)?git ", str(one))]

        with ThreadPoolExecutor() as pool:
            push = pool.submit(self.server.push, app.repository, app.name)
            found = self.server.wait(lambda: victims() or push.done(), timeout=120)
            killed = found if isinstance(found, list) else []
            kill(killed)
            result = push.result()
        self.server.wait(lambda: not session.all(), timeout=120)
        text = said(result) + result.stderr
        assert "Traceback" not in text and "piku itself failed" not in text, text
        where = f"at {step or 'the beginning'}"
        return f"{where}, {len(killed)} of them: exit code {result.returncode}"

    def platform(self, app: App, file: str) -> str:
        """nginx or the emperor, which its service starts again, before any change of a deploy."""
        pid, moment = int((self.server.root / file).read_text()), self.moment(app)
        app.offer()
        with ThreadPoolExecutor() as pool:
            command = f"kill -{signal.SIGKILL} {pid}"
            deploy = pool.submit(at_moment, app, moment, command, "deploy", app.name)

            def is_down() -> bool:
                try:
                    return not self.server.platform_pid()
                except SandboxError:
                    return True

            self.server.wait(lambda: is_down() or deploy.done(), timeout=120)
            if reached := not procfs.is_running(pid):
                self.server.wait(is_down, timeout=120)
                self.server.stop_platform()
                self.start_again()
            result = deploy.result()
        text = said(result) + result.stderr
        assert result.returncode in (0, 1), text
        assert "Traceback" not in text and "piku itself failed" not in text, text
        # What had gone live just before starts with the platform.
        self.server.wait(lambda: not app.body().startswith("status"), what=text)
        return f"at change {moment}{'' if reached else ', which it did not reach'}"

    def start_again(self) -> None:
        """As its service does, once more if it has to."""
        try:
            self.server.start_platform()
        except SandboxError as error:
            listeners = run(["ss", "-Hltnp"], env=self.server.server_env(), cwd=self.server.home)
            print(f"it did not start at once: {error}\n{listeners.stdout}", flush=True)
            self.done["starts that failed"] += 1
            self.server.start_platform()


VICTIMS: Mapping[str, Callable[[Rounds, App], str]] = {
    "deploy": Rounds.deploy,
    "git": Rounds.git,
    "nginx": lambda rounds, app: rounds.platform(app, "nginx/nginx.pid"),
    "emperor": lambda rounds, app: rounds.platform(app, "uwsgi/emperor.pid"),
}


@pytest.fixture(scope="module")
def rounds(server: Sandbox) -> Iterator[Rounds]:
    apps = [
        new_app(server, "shop", "wsgi", SETTINGS),
        new_app(server, "api", "web", SETTINGS, Procfile=WEB),
    ]
    changes = {}
    for app in apps:
        put_back(app)
        app.offer()
        assert at_moment(app, "never", "false", "deploy", app.name).returncode == 0
        # As at_moment.py counts them.
        seen = (
            path.partition(".env/")[0] for _, event, path in moments(app) if event not in UNCOUNTED
        )
        changes[app.name] = len([*groupby(seen)])
    yield Rounds(server=server, apps=apps, chance=random.Random(SEED), changes=changes)


def put_back(app: App) -> None:
    """As many releases as piku keeps, whatever was before."""
    for _ in range(3):
        app.deploy()


@pytest.mark.timeout(600 + 90 * ROUNDS)
@pytest.mark.parametrize("seed", [SEED])
def test_rounds(rounds: Rounds, seed: str) -> None:
    server = rounds.server
    print(f"\n{ROUNDS} rounds, seed {seed}", flush=True)
    before = inventory.take(server)
    begun = time.monotonic()
    for _ in range(ROUNDS):
        rounds.go()
    print(f"{dict(rounds.done)} in {time.monotonic() - begun:.0f} s")
    for app in rounds.apps:
        put_back(app)
        check_sane(app, app.version)

    def left() -> list[str]:
        return inventory.take(server).more_than(before, lambda name: bool(BOUNDED.match(name)))

    try:
        server.wait(lambda: not left())
    except TimeoutError:
        pytest.fail("\n".join(["left:", *left()]))
