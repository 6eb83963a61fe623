"""The apps of the soak, and what is done to each, over and over, by chance."""

import contextlib
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import inventory
import processes
from inventory import Inventory
from sandbox import Completed, Sandbox, SandboxError

_WSGI = """\
import os, pathlib
VERSION = pathlib.Path("version").read_bytes()
if os.environ.get("CRASH"):
    raise SystemExit("crashing because of CRASH")
print("loaded", VERSION, flush=True)
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(VERSION)))])
    return [VERSION]
"""
_WEB = """\
import http.server, os, pathlib, sys
VERSION = pathlib.Path("version").read_bytes()
if os.environ.get("CRASH"):
    sys.exit("crashing because of CRASH")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""
_WORKER = """\
import os, subprocess, sys, time
if os.environ.get("CRASH"):
    sys.exit("crashing because of CRASH")
subprocess.Popen(["sleep", "3600"], start_new_session=True)  # what it leaves behind must not stay
while True:
    print("working " * 20, flush=True)
    time.sleep(0.2)
"""
_CODE = {
    "app.py": _WSGI,
    "server.py": _WEB,
    "worker.py": _WORKER,
    "release.sh": "exit ${FAIL_RELEASE:-0}\n",
}
_WORKERS = "worker: exec python3 -IS worker.py\n"
_JOBS = "cron-tick: * * * * * echo tick >>$DATA_ROOT/ticks; echo ticked\n"


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """An app: its Procfile, its settings, how many processes it has at first, and how often it is asked."""

    name: str
    procfile: str
    counts: Mapping[str, int]
    settings: str = ""
    pause: tuple[float, float] = (0.02, 0.2)
    asked: bool = True


APPS = (
    Kind(name="shop", procfile=f"wsgi: app:app\n{_WORKERS}{_JOBS}", counts={"wsgi": 1, "worker": 1},
         settings="UWSGI_PROCESSES=2\nUWSGI_MAX_REQUESTS=50\n"),
    Kind(name="page", procfile=f"web: exec python3 -IS server.py\n{_JOBS}", counts={"web": 2}),
    Kind(name="nap", procfile="wsgi: app:app\n", counts={"wsgi": 1}, settings="UWSGI_IDLE=2\n",
         pause=(0.2, 6.0)),
    Kind(name="nod", procfile=f"web: exec python3 -IS server.py\n{_WORKERS}", counts={"web": 1, "worker": 1},
         settings="UWSGI_IDLE=1\n", pause=(0.2, 12.0)),
    Kind(name="queue", procfile=_WORKERS + _JOBS, counts={"worker": 2}, asked=False),
    Kind(name="blink", procfile=f"wsgi: app:app\n{_WORKERS}", counts={"wsgi": 1, "worker": 1}),
)  # fmt: skip
_SLEEPERS = ("vassal nap@", "vassal nod@N.web", "vassal @waker")


class SoakError(Exception):
    """Something was not as it must be."""


class Log:
    """What was done when, a line each."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            print(f"{time.monotonic() - self.begun:7.1f} s  {text}", flush=True)


def settled(server: Sandbox, timeout: float = 120) -> Inventory:
    """What the server has once nothing changes any more."""
    deadline = time.monotonic() + timeout
    last = inventory.take(server)
    while time.monotonic() < deadline:
        server.piku("upkeep", "--doze")  # as its vassal does every minute
        now = inventory.take(server)
        busy = [name for name in now.things if _is_passing(name)]
        if not busy and now.things == last.things:
            return now
        last = now
        time.sleep(0.5)
    return last


def _is_passing(name: str) -> bool:
    passing = ("shutting down", "sshd: ", "bin/piku", "git ", *_SLEEPERS)
    # A master of uWSGI looks for workers that have ended once a second.
    return name.startswith("zombie ") or (
        name.startswith("process ") and any(word in name for word in passing)
    )


@dataclass
class Lane:
    """One app with its client's repository, and whoever works on it."""

    server: Sandbox
    kind: Kind
    chance: random.Random
    log: Log
    done: Counter[str] = field(default_factory=Counter)
    excuses: list[tuple[float, float]] = field(default_factory=list)  # when a request may fail
    failed: str = ""
    number: int = 0

    def __post_init__(self) -> None:
        settings = f"{self.kind.settings}PIKU_STOP_TIMEOUT=2\n"
        if self.kind.asked:
            settings += f"NGINX_SERVER_NAME={self.host}\n"
        own = {
            **_CODE,
            "Procfile": f"{self.kind.procfile}release: sh release.sh\n",
            "ENV": settings,
        }
        self.repository = self.server.repository(self.name, {**own, "version": "v0"})

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def host(self) -> str:
        return f"{self.kind.name}.localhost"

    def pause(self, chance: random.Random) -> float:
        return chance.uniform(*self.kind.pause)

    # --- the course of it ---

    def run(self, over: threading.Event) -> None:
        choices: dict[Callable[[], None], int] = {
            self.push: 6, self.push_broken: 4, self.set_something: 3, self.set_something_broken: 2,
            self.go_back: 2, self.restart: 3, self.scale: 4, self.kill_process: 4, self.kill_push: 5,
            self.kill_command: 5, self.run_something: 2, self.read_logs: 2, self.two_at_once: 2,
            self.maintain: 1, self.stop_and_start: 1,
        }  # fmt: skip
        if "cron-tick:" in self.kind.procfile:
            choices[self.run_job] = 3
        if self.name == "blink":
            choices[self.destroy_and_create] = 20
        while not over.wait(self.chance.uniform(0, 2)):
            [action] = self.chance.choices(list(choices), list(choices.values()))
            name = action.__name__.replace("_", " ")
            begun = time.monotonic()
            try:
                action()
                self.check()
            except (
                SoakError,
                SandboxError,
                TimeoutError,
                subprocess.TimeoutExpired,
                OSError,
            ) as error:
                self.failed = f"{self.name}: {name}, {begun - self.log.begun:.1f} s: {error}"
                self.log(f"FAILED {self.failed}")
                return
            self.done[name] += 1
            self.log(f"{self.name}: {name}, took {time.monotonic() - begun:.1f} s")

    def check(self) -> None:
        """The app answers, and all its processes run."""
        self.answers()
        states: list[str] = []

        def well() -> bool:
            states[:] = [f"{row['worker']} {row['state']}" for row in self.ps()]
            return all(text.endswith((" up", " asleep")) for text in states)

        try:
            self.server.wait(well, 60)
        except TimeoutError:
            raise SoakError(f"its processes: {', '.join(states)}") from None

    def ps(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = json.loads(self.good("ps", self.name, "--json").stdout)
        return [row for row in rows if row["state"] != "stopping"]

    def put_back(self) -> None:
        """The app as it was at first, with as many releases as are kept, all of them good."""
        if self.name in self.good("apps").stdout.split():
            self.good("maintenance:off", self.name)
        for _ in range(3):
            self.push()
        self.good(
            "ps:scale", self.name, *(f"{kind}={count}" for kind, count in self.kind.counts.items())
        )
        self.server.piku("config:set", self.name, "COLOUR=none", "NEXT=none")
        self.push()
        self.check()

    # --- saying it ---

    def good(self, *words: str) -> Completed:
        """A command that must succeed."""
        return self._expect(self.server.piku(*words), 0, " ".join(words))

    def bad(self, *words: str) -> Completed:
        """A command that must be refused, or fail."""
        return self._expect(self.server.piku(*words), 1, " ".join(words))

    def _expect(self, result: Completed, code: int, what: str) -> Completed:
        text = result.stdout + result.stderr
        if result.returncode != code or "piku itself failed" in text:
            raise SoakError(f"{what}: exit code {result.returncode}\n{text}")
        return result

    def answers(self, wanted: str = "") -> None:
        """Wait until it answers, with this body if one is given."""
        if not self.kind.asked:
            return
        said = ""

        def well() -> bool:
            nonlocal said
            try:
                status, _, body = self.server.get(self.host)
            except OSError as error:
                said = repr(error)
                return False
            said = f"{status} {body[:60]!r}"
            return status == 200 and (body.decode() == wanted or not wanted)

        try:
            self.server.wait(well, 60)
        except TimeoutError:
            raise SoakError(f"it should answer {wanted or 'something'}, and says {said}") from None

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        """Requests may fail within the block, and until all is well again after it."""
        self.excuses.append((time.monotonic(), float("inf")))
        try:
            yield
        finally:
            with contextlib.suppress(SoakError):
                self.check()
            self.excuses[-1] = (self.excuses[-1][0], time.monotonic())

    # --- what is done ---

    def commit(self, **files: str) -> None:
        self.number += 1
        self.server.commit(self.repository, {"version": f"v{self.number}", **files})

    def push(self) -> None:
        self.commit()
        self._expect(self.server.push(self.repository, self.name), 0, "git push")
        self.answers(f"v{self.number}")

    def push_broken(self) -> None:
        broken = self.chance.choice((
            {"app.py": "raise RuntimeError('broken')\n", "server.py": "import nothing\n",
             "worker.py": "raise SystemExit(3)\n"},
            {"release.sh": "echo no; exit 1\n"},
            {"Procfile": "web\n"},
            {"ENV": "UWSGI_THREADS=many\n"},
        ))  # fmt: skip
        self.server.commit(self.repository, broken)
        self._expect(self.server.push(self.repository, self.name), 1, "git push of what is broken")
        self.server.git(self.repository, "reset", "--quiet", "--hard", "HEAD^")

    def set_something(self) -> None:
        self.good("config:set", self.name, f"COLOUR={self.chance.random()}")

    def set_something_broken(self) -> None:
        pair = self.chance.choice(
            ("CRASH=yes", "FAIL_RELEASE=1", "UWSGI_PROCESSES=0", "NGINX_SERVER_NAME=!")
        )
        # A release command runs for new code alone.
        if pair == "FAIL_RELEASE=1":
            pair = "PORT=80"
        self.bad("config:set", self.name, pair)

    def go_back(self) -> None:
        self.good("rollback", self.name)

    def restart(self) -> None:
        self.good("restart", self.name)

    def scale(self) -> None:
        kind = self.chance.choice(list(self.kind.counts))
        least = 0 if kind == "worker" and self.kind.asked else 1  # of none, nothing can fail
        self.good("ps:scale", self.name, f"{kind}={self.chance.randint(least, 3)}")

    def run_something(self) -> None:
        said = self.good("run", self.name, "--", "cat", "version").stdout
        if not said.startswith("v"):
            raise SoakError(f"piku run said {said!r}")

    def run_job(self) -> None:
        said = self._expect(self.server.piku("cron:run", self.name, "tick"), 0, "cron:run").stdout
        if "ticked" not in said:
            raise SoakError(f"cron:run said {said!r}")

    def read_logs(self) -> None:
        """Once, and as somebody who follows them until the connection is cut."""
        self.good("logs", self.name, "--no-follow")
        command = ["ssh", *self.server.ssh_options(), self.server.address, "logs", self.name]
        with subprocess.Popen(
            command, env=self.server.client_env(), stdout=subprocess.PIPE
        ) as client:
            assert client.stdout is not None
            client.stdout.readline()
            client.kill()

    def two_at_once(self) -> None:
        self.commit()
        with ThreadPoolExecutor(2) as pool:
            pushed = pool.submit(self.server.push, self.repository, self.name)
            changed = pool.submit(self.server.piku, "config:set", self.name, f"NEXT={self.number}")
        self._expect(pushed.result(), 0, "git push while something is set")
        self._expect(changed.result(), 0, "config:set during a push")
        self.answers(f"v{self.number}")

    def maintain(self) -> None:
        with self.excused():
            self.good("maintenance:on", self.name)
            self.good("maintenance:off", self.name)

    def stop_and_start(self) -> None:
        with self.excused():
            self.good("stop", self.name)
            self.good("restart", self.name)

    def destroy_and_create(self) -> None:
        with self.excused():
            self.destroy()
            for _ in range(2):  # so that there is something to go back to
                self.push()

    def destroy(self) -> None:
        self.good("destroy", self.name, "--force")

    # --- what is killed ---

    def kill_process(self) -> None:
        """A process of the app: uWSGI's master or worker, the runner around a program, the program itself."""
        mine = [
            process for process in self.server.processes() if f"--ini {self.name}@" in str(process)
        ]  # fmt: skip
        mine = sorted(
            processes.tree(*(process.pid for process in mine)), key=lambda process: process.pid
        )
        if mine:
            with self.excused():
                self.chance.choice(mine).kill()

    def kill_push(self) -> None:
        """A deploy in mid-way: its process, or all of its session. The app answers on, with old or new."""
        self.commit()
        whole, after = self.chance.random() < 0.5, self.chance.uniform(0.1, 1.5)
        with ThreadPoolExecutor(1) as pool:
            push = pool.submit(self.server.push, self.repository, self.name)
            time.sleep(after)
            for process in self._session(whole=whole):
                process.kill()
            push.result()
        self.mend()

    def _session(self, *, whole: bool) -> list[processes.Process]:
        ends = [f" git-hook {self.name}"]
        if whole:
            ends += [f" git-receive-pack '{self.name}'", f" git-receive-pack {self.name}"]
        found = [
            process for process in self.server.processes() if str(process).endswith(tuple(ends))
        ]
        if whole:
            found = list(processes.tree(*(process.pid for process in found)))
        return sorted(found, key=lambda process: process.pid)

    def kill_command(self) -> None:
        """A command in mid-way."""
        kind = self.chance.choice(list(self.kind.counts))
        words = self.chance.choice((
            ("restart", self.name), ("ps:scale", self.name, f"{kind}={self.chance.randint(1, 3)}"),
            ("config:set", self.name, f"COLOUR={self.chance.random()}"), ("rollback", self.name),
            ("deploy", self.name),
        ))  # fmt: skip
        command = [str(self.server.checkout / "bin" / "piku"), *words]
        with subprocess.Popen(
            command, env=self.server.server_env(), cwd=self.server.home, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.chance.uniform(0.05, 1.2))
            process.kill()
        self.log(f"{self.name}: killed {' '.join(words)}")
        self.mend()

    def mend(self) -> None:
        """What was killed has left an app that answers; the next command mends the rest."""
        self.answers()
        words = self.chance.choice(
            (("restart", self.name), ("config:set", self.name, "MENDED=yes"))
        )
        self.log(f"{self.name}: mends with {' '.join(words)}")
        self.good(*words)
