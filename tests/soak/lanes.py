"""The apps of the soak, and what is done to each, over and over, by chance."""

import contextlib
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import processes
from sandbox import Completed, Sandbox, SandboxError

_WSGI = """\
import os, pathlib
VERSION = pathlib.Path("version").read_bytes()
if os.environ.get("CRASH"):
    raise SystemExit("crashing because of CRASH")
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
_CODE = {"app.py": _WSGI, "server.py": _WEB, "worker.py": _WORKER, "release.sh": "true\n"}
_WORKERS = "worker: exec python3 -IS worker.py\n"
_JOBS = "cron-tick: * * * * * echo tick >>$DATA_ROOT/ticks; echo ticked\n"
_BROKEN: tuple[Mapping[str, str], ...] = (
    {"app.py": "import nothing\n", "server.py": "import nothing\n", "worker.py": "exit(3)\n"},
    {"release.sh": "echo no; exit 1\n"},
    {"Procfile": "web\n"},
    {"ENV": "UWSGI_THREADS=many\n"},
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """An app: its Procfile, its settings, how many processes it has at first, how often it is
    asked."""

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
    Kind(name="queue", procfile=_WORKERS + _JOBS, counts={"worker": 2}, asked=False),
    Kind(name="blink", procfile=f"wsgi: app:app\n{_WORKERS}", counts={"wsgi": 1, "worker": 1}),
)  # fmt: skip


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
        self.name = self.kind.name
        self.host = f"{self.name}.localhost"
        name = f"NGINX_SERVER_NAME={self.host}\n" if self.kind.asked else ""
        files = {
            **_CODE,
            "Procfile": f"{self.kind.procfile}release: sh release.sh\n",
            "ENV": f"{self.kind.settings}PIKU_STOP_TIMEOUT=2\n{name}",
            "version": "v0",
        }
        self.repository = self.server.repository(self.name, files)

    def run(self, over: threading.Event) -> None:
        choices = {
            self.push: 6, self.push_broken: 5, self.command: 12, self.command_refused: 2,
            self.kill_process: 4, self.kill_push: 5, self.kill_command: 5, self.two_at_once: 2,
            self.stop_and_start: 1, self.destroy_and_create: 20 if self.name == "blink" else 0,
        }  # fmt: skip
        while not over.wait(self.chance.uniform(0, 2)):
            [action] = self.chance.choices(list(choices), list(choices.values()))
            name = action.__name__.replace("_", " ")
            begun = time.monotonic()
            try:
                action()
                self.check()
            except (SoakError, SandboxError, OSError, subprocess.TimeoutExpired) as error:
                self.failed = f"{self.name}: {name}, {begun - self.log.begun:.1f} s: {error}"
                self.log(f"FAILED {self.failed}")
                return
            self.done[name] += 1
            self.log(f"{self.name}: {name}, took {time.monotonic() - begun:.1f} s")

    # --- what must be so ---

    def check(self) -> None:
        """The app answers, and all its processes run."""
        self.answers()
        rows = self.server.wait(self._all_up, 60, f"the processes of {self.name} run")
        assert rows

    def _all_up(self) -> bool:
        rows = json.loads(self.good("ps", self.name, "--json").stdout)
        states = [row["state"] for row in rows if row["state"] != "stopping"]
        return bool(states) and all(state in ("up", "asleep") for state in states)

    def answers(self, wanted: str = "v") -> None:
        """Wait until it answers with a body that begins with this."""

        def well() -> bool:
            with contextlib.suppress(OSError):
                status, _, body = self.server.get(self.host)
                return status == 200 and body.startswith(wanted.encode())
            return False

        if self.kind.asked:
            self.server.wait(well, 60, f"{self.name} answers {wanted}")

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        """Requests may fail within the block, and until all is well again after it."""
        self.excuses.append((time.monotonic(), float("inf")))
        try:
            yield
        finally:
            with contextlib.suppress(SoakError, OSError):
                self.check()
            self.excuses[-1] = (self.excuses[-1][0], time.monotonic())

    def good(self, *words: str) -> Completed:
        """A command that must succeed."""
        return _expect(self.server.piku(*words), 0, " ".join(words))

    def put_back(self) -> None:
        """The app as it was at first, with as many releases as are kept, all of them good."""
        for _ in range(3):
            self.push()
        counts = (f"{kind}={count}" for kind, count in self.kind.counts.items())
        self.good("ps:scale", self.name, *counts)
        self.server.piku("config:set", self.name, "COLOUR=none")
        self.push()
        self.check()

    # --- what is done ---

    def commit(self) -> None:
        self.number += 1
        self.server.commit(self.repository, {"version": f"v{self.number}"})

    def push(self) -> None:
        self.commit()
        _expect(self.server.push(self.repository, self.name), 0, "git push")
        self.answers(f"v{self.number}")

    def push_broken(self) -> None:
        self.server.commit(self.repository, self.chance.choice(_BROKEN))
        _expect(self.server.push(self.repository, self.name), 1, "git push of what is broken")
        self.server.git(self.repository, "reset", "--quiet", "--hard", "HEAD^")

    def _words(self) -> tuple[str, ...]:
        kind = self.chance.choice(list(self.kind.counts))
        return self.chance.choice((
            ("restart", self.name), ("rollback", self.name), ("run", self.name, "--", "true"),
            ("ps:scale", self.name, f"{kind}={self.chance.randint(1, 3)}"),
            ("config:set", self.name, f"COLOUR={self.chance.random()}"),
            ("logs", self.name, "--no-follow"),
        ))  # fmt: skip

    def command(self) -> None:
        self.good(*self._words())

    def command_refused(self) -> None:
        pair = self.chance.choice(("CRASH=yes", "UWSGI_PROCESSES=0", "NGINX_SERVER_NAME=!"))
        _expect(self.server.piku("config:set", self.name, pair), 1, f"config:set {pair}")

    def two_at_once(self) -> None:
        self.commit()
        with ThreadPoolExecutor(2) as pool:
            pushed = pool.submit(self.server.push, self.repository, self.name)
            changed = pool.submit(
                self.server.piku, "config:set", self.name, f"COLOUR={self.number}"
            )
        _expect(pushed.result(), 0, "git push while something is set")
        _expect(changed.result(), 0, "config:set during a push")
        self.answers(f"v{self.number}")

    def stop_and_start(self) -> None:
        with self.excused():
            self.good("stop", self.name)
            self.good("restart", self.name)

    def destroy_and_create(self) -> None:
        with self.excused():
            self.good("destroy", self.name, "--force")
            for _ in range(2):  # so that there is something to go back to
                self.push()

    def kill_process(self) -> None:
        """A process of the app: uWSGI's master or worker, or the program itself."""
        everything = self.server.processes()
        masters = [each.pid for each in everything if f"--ini {self.name}@" in str(each)]
        if mine := sorted(processes.tree(*masters), key=lambda process: process.pid):
            with self.excused():
                self.chance.choice(mine).kill()

    def kill_push(self) -> None:
        """A deploy in mid-way: its process, or its session. The app answers on, with old or new."""
        self.commit()
        words = [f" git-hook {self.name}"]
        if self.chance.random() < 0.5:
            words += [f" git-receive-pack '{self.name}'", f" git-receive-pack {self.name}"]
        with ThreadPoolExecutor(1) as pool:
            push = pool.submit(self.server.push, self.repository, self.name)
            time.sleep(self.chance.uniform(0.1, 1.5))
            for process in self.server.processes():
                if str(process).endswith(tuple(words)):
                    process.kill()
            push.result()
        self.answers()
        self.good("restart", self.name)

    def kill_command(self) -> None:
        """What is killed leaves an app that answers; the next command puts the rest right."""
        command = [str(self.server.checkout / "bin" / "piku"), *self._words()]
        with subprocess.Popen(
            command, env=self.server.server_env(), cwd=self.server.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.chance.uniform(0.05, 1.2))
            process.kill()
        self.answers()
        self.good("config:set", self.name, f"COLOUR={self.chance.random()}")


def _expect(result: Completed, code: int, what: str) -> Completed:
    text = result.stdout + result.stderr
    if result.returncode != code or "piku itself failed" in text:
        raise SoakError(f"{what}: exit code {result.returncode}\n{text}")
    return result
