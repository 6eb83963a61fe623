"""What the settings UWSGI_* make of a running process, and that variables reach every process as they are set."""

import contextlib
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from piku import dotenv
from tests.e2e.support import NO_EXTRAS, App, web, wsgi
from tests.e2e.support import WSGI as CALLABLE

NewApp = Callable[..., App]

# Says which process and thread answers. A request for /hold is counted in, and waits for the gate; one for
# /count starts a thread of the app's own, which counts as long as it gets to run.
CODE = """\
import os, pathlib, threading, time, uuid
DATA = pathlib.Path(os.environ["DATA_ROOT"])

def count(name="count"):
    for number in range(4000):
        (DATA / f"{name}.tmp").write_text(str(number))
        os.replace(DATA / f"{name}.tmp", DATA / str(name))
        time.sleep(0.005)

def app(environ, start_response):
    text = f"{os.getpid()} {threading.get_ident()}"
    if environ["PATH_INFO"] == "/count":
        threading.Thread(target=count, daemon=True).start()
    if environ["PATH_INFO"] == "/hold":
        begun = DATA / str(uuid.uuid4())
        begun.write_text(text)
        begun.rename(DATA / f"in.{begun.name}")
        while not (DATA / "gate").exists():
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
"""


class Served:
    """A `wsgi` app, asked through nginx, or where it listens itself when it has no name."""

    def __init__(
        self, new_app: NewApp, name: str, settings: str, *, named: bool, **files: str
    ) -> None:
        own = f"NGINX_SERVER_NAME={name}.localhost\n" if named else ""
        every = {"Procfile": "wsgi: app:app\n", "app.py": CODE, "ENV": own + settings}
        every |= files
        self.app = new_app(name, every, push=False)
        self.said = "\n".join(self.app.deployed())
        found = re.search(r"It listens on 127\.0\.0\.1:(\d+)", self.said)
        assert bool(found) != named, self.said
        self.port = int(found[1]) if found else 0

    def ask(self, path: str = "/") -> str:
        return self.app.direct(self.port, path) if self.port else self.app.body(path)

    def queue(self) -> tuple[int, int]:
        """How many connections wait to be accepted, and how many may, as the kernel says."""
        if self.port:
            options = ["-t", "src", f"127.0.0.1:{self.port}"]
        else:
            place = (self.app.server.root / "nginx" / f"{self.app.name}.sock").resolve()
            options = ["-x", "src", str(place)]
        command = ["ss", "--listening", "--numeric", "--no-header", *options]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        [fields] = [line.split() for line in said.splitlines()]
        waiting, longest = fields[1:3] if self.port else fields[2:4]
        return int(waiting), int(longest)

    def inside(self) -> list[str]:
        return [path.read_text() for path in self.app.data.glob("in.*")]

    @contextlib.contextmanager
    def held(self, count: int) -> Iterator[list[Future[str]]]:
        """So many requests at once, all of which wait until the block ends."""
        (self.app.data / "gate").unlink(missing_ok=True)
        for path in self.app.data.glob("in.*"):
            path.unlink()
        with ThreadPoolExecutor(count) as pool:
            try:
                yield [pool.submit(self.ask, "/hold") for _ in range(count)]
            finally:
                (self.app.data / "gate").touch()


@pytest.fixture(params=["nginx", "alone"])
def named(request: pytest.FixtureRequest) -> bool:
    """With nginx in front, and without."""
    return bool(request.param == "nginx")


def called(what: str, named: bool) -> str:
    return what if named else f"{what}-alone"


def test_by_default_one_process_answers_four_requests_at_once(new_app: NewApp, named: bool) -> None:
    served = Served(new_app, called("default", named), "", named=named)
    assert served.queue() == (0, 100)
    with served.held(7) as answers:
        served.app.server.wait(lambda: len(served.inside()) == 4 and served.queue()[0] == 3)
        threads = [text.split() for text in served.inside()]
        assert len({process for process, _ in threads}) == 1
        assert len({thread for _, thread in threads}) == 4
    assert len([answer.result() for answer in answers]) == 7


def test_processes_and_threads_are_as_many_as_asked_for(new_app: NewApp, named: bool) -> None:
    settings = "UWSGI_PROCESSES=3\nUWSGI_THREADS=2\nUWSGI_LISTEN=20\n"
    served = Served(new_app, called("forked", named), settings, named=named)
    server = served.app.server
    assert served.queue() == (0, 20)
    with served.held(11) as answers:
        server.wait(lambda: len(served.inside()) == 6 and served.queue()[0] == 5)
        each = Counter(text.split()[0] for text in served.inside())
        assert sorted(each.values()) == [2, 2, 2]
    assert len([answer.result() for answer in answers]) == 11

    # As a setting of config:set they are the next processes', at once.
    served.app.does("config:set", "UWSGI_PROCESSES=1", "UWSGI_THREADS=1", "UWSGI_LISTEN=3")
    assert served.queue() == (0, 3)
    with served.held(3):
        server.wait(lambda: len(served.inside()) == 1 and served.queue()[0] == 2)


def test_a_queue_longer_than_the_kernel_allows_is_shortened(new_app: NewApp, named: bool) -> None:
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    served = Served(new_app, called("queue", named), "UWSGI_LISTEN=65535\n", named=named)
    assert f"UWSGI_LISTEN=65535: the kernel allows no more than {allowed}" in served.said
    assert served.queue() == (0, allowed)
    assert served.ask()
    said = served.app.asked("config:set", f"UWSGI_LISTEN={allowed}")
    assert said.returncode == 0 and "more than the kernel" not in said.stdout + said.stderr
    assert served.queue() == (0, allowed)


def test_a_process_is_replaced_after_so_many_requests(new_app: NewApp, named: bool) -> None:
    settings = "UWSGI_MAX_REQUESTS=5\nUWSGI_THREADS=1\nUWSGI_INCLUDE_FILE=uwsgi.ini\n"
    # uWSGI itself lets a process live for a minute at least.
    options = "[uwsgi]\nmin-worker-lifetime = 0\n"
    served = Served(
        new_app, called("spent", named), settings, named=named, **{"uwsgi.ini": options}
    )
    each = Counter(served.ask().split()[0] for _ in range(20))
    assert len(each) >= 4 and max(each.values()) <= 5, each


# Imports nothing that has to do with threads while it is loaded. Does what Python does first at its end.
BARE = """\
def app(environ, start_response):
    import os, threading
    main = threading.get_native_id() == os.getpid()
    if not main:
        threading._shutdown()
    start_response("200 OK", [])
    return [b"main" if main else b"other"]
"""


def test_any_thread_can_end_its_process(new_app: NewApp) -> None:
    """The one that has answered the last of UWSGI_MAX_REQUESTS does: it must not wait for those that uWSGI has ended."""
    app = new_app("ending", {**wsgi("ending"), "app.py": BARE})
    with ThreadPoolExecutor(8) as pool:
        assert "other" in set(pool.map(lambda _: app.body(), range(100)))


def test_options_of_the_apps_own_are_those_of_its_language(new_app: NewApp) -> None:
    good = "[uwsgi]\npythonpath = lib\nprocname-prefix-spaced = own-\n"
    files = {
        "Procfile": "wsgi: app:app\nworker: exec sleep 1000\n",
        "ENV": "NGINX_SERVER_NAME=own.localhost\nUWSGI_INCLUDE_FILE=uwsgi.ini\n",
        "requirements.txt": "",
        "uwsgi.ini": good,
        "app.py": "import beside\napp = beside.app\n",
        "lib/beside.py": CALLABLE,
    }
    app = new_app("own", files)
    assert app.status() == 200
    assert set(app.ps()) == {"wsgi.1", "worker.1"}  # which has no use for Python's options


def test_an_app_has_threads_of_its_own_unless_told_otherwise(new_app: NewApp, named: bool) -> None:
    settings = "UWSGI_THREADS=1\n"
    on = Served(new_app, called("threads", named), settings, named=named)
    off = Served(
        new_app, called("threadless", named), settings + "UWSGI_ENABLE_THREADS=false\n", named=named
    )
    server = on.app.server

    def counted(served: Served) -> int:
        place = served.app.data / "count"
        return int(place.read_text()) if place.exists() else -1

    def counts_on(served: Served) -> bool:
        first = counted(served)
        server.wait(lambda: counted(served) > first + 50)
        return True

    assert on.ask("/count") and off.ask("/count")
    still = counted(off)
    assert counts_on(on)
    assert counted(off) <= still + 1, "its thread runs only while a request is answered"
    # With several threads for requests, Python takes turns in any case.
    off.app.does("config:set", "UWSGI_THREADS=2")
    assert off.ask("/count") and counts_on(off)


def test_threads_that_the_module_starts_do_not_keep_a_process_from_answering(
    new_app: NewApp,
) -> None:
    """uWSGI loads the app once and forks: a process that was forked while a thread is at work must not wait
    for that one for ever, which it does not have."""
    settings = "UWSGI_PROCESSES=12\nUWSGI_THREADS=1\n"
    own = "\nfor _ in range(4):\n    threading.Thread(target=count, args=(uuid.uuid4(),), daemon=True).start()\n"
    lazy = {"uwsgi.ini": "[uwsgi]\nlazy-apps = true\n"}
    served = Served(new_app, "crowded", settings, named=True, **{"app.py": CODE + own, **lazy})
    with served.held(12) as answers:
        served.app.server.wait(lambda: len(served.inside()) == 12)
        processes = {text.split()[0] for text in served.inside()}
    assert len([answer.result() for answer in answers]) == len(processes) == 12
    assert all(len(list(Path(f"/proc/{pid}/task").iterdir())) < 4 for pid in processes)

    # Loaded in each process, the threads are there as well.
    served.app.does("config:set", "UWSGI_PROCESSES=2", "UWSGI_INCLUDE_FILE=uwsgi.ini")
    pid = served.ask().split()[0]
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) > 4


# --- variables -----------------------------------------------------------------------------------

EIGHT = 8 * 1024
EVERY = "".join(map(chr, range(32, 127)))
VALUES = {
    "SPACES": "  two  words",
    "TABS": "\ta\tb",
    "EMPTY": "",
    "QUOTES": """'single' "double" `back`""",
    "ONE_QUOTE": "it's",
    "EQUALS": "=a=b==",
    "DOLLARS": "$HOME ${APP} $$ $(id) $1 $",
    "PERCENT": "%(x) %d %% 100%",
    "PERCENT_END": "100%",
    "AT": "@(file) @/etc/passwd",
    "BACKSLASH": "\\n \\ \\\\",
    "BACKSLASH_END": "ends\\",
    "HASH": "# no comment",
    "SEMICOLON": "; [uwsgi]",
    "GLOB": "* ? [a] ~ {a,b} !x",
    "SHELL": "; exit 1 & | < > (",
    "UNICODE": "grün ☃ 𝄞",
    "UNICODE_BLANK": "ends with a blank\u00a0",
    "LINES": "-----BEGIN X-----\nMII/+==\n-----END X-----\n",
    "BLANKS_END": "100% $HOME \t",
    "BYTES": "\udcff\udc80",
    "CONTROL": "\x01\x1b[31m\x0b\x0c\x7f",
    "ALL": EVERY,
    "EIGHT": "x" * EIGHT,
    "EIGHT_ODD": (EVERY * 100)[:EIGHT],
    "EIGHT_UNICODE": "ü☃" * (EIGHT // 5),
    "SIXTY_FOUR": "y" * 8 * EIGHT,
    # What our own scripts might take for theirs.
    "notes": "mine",
    "code": "mine",
    "trap": "mine",
    "end": "mine",
    "program": "mine",
}
DUMP = """\
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["DATA_ROOT"])
folder.mkdir(exist_ok=True)
(folder / f"{sys.argv[1]}.tmp").write_text(json.dumps(dict(os.environ)))
(folder / f"{sys.argv[1]}.tmp").rename(folder / f"{sys.argv[1]}.json")
"""
PROCFILE = """\
preflight: python3 -IS dump.py preflight
release: python3 -IS dump.py release
worker: python3 -IS dump.py worker && exec sleep 1000
cron-job: @yearly python3 -IS dump.py cron
"""
WSGI = """\
import json, os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"env": dict(os.environ)}).encode()]
"""


def wrong(seen: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """What a process has got that is not as it was set."""
    return {name: (text, seen.get(name)) for name, text in VALUES.items() if seen.get(name) != text}


@pytest.mark.parametrize("given", ["config:set", "repository"])
def test_variables_reach_every_process_as_they_are_set(new_app: NewApp, given: str) -> None:
    name = given.partition(":")[0]
    pairs = [f"{key}={value}" for key, value in VALUES.items()]
    env = dotenv.render(VALUES) if given == "repository" else ""
    own = {**web(name, procfile=PROCFILE), "dump.py": DUMP}
    app = new_app(name, own, push=False)
    change(app, "ENV", env)
    if given == "config:set":
        # Settings before the first release: all of them are the first process's already.
        app.deployed()
        app.does("config:set", *pairs)
        app.commit(version_txt="two")
    app.deployed()
    app.server.wait((app.data / "worker.json").exists)
    for process in ("preflight", "release", "worker"):
        found = json.loads((app.data / f"{process}.json").read_text())
        assert wrong(found) == {}, process
    assert wrong(app.about()["env"]) == {}
    if not NO_EXTRAS:
        app.does("cron:run", "job")
        assert wrong(json.loads((app.data / "cron.json").read_text())) == {}
    app.does("run", "python3 -IS dump.py run")
    assert wrong(json.loads((app.data / "run.json").read_text())) == {}
    # A restart of a process by itself is no different.
    before = json.loads((app.data / "worker.json").read_text())["PIKU_PROCESS"]
    app.does("restart")

    def again() -> dict[str, str]:
        found: dict[str, str] = json.loads((app.data / "worker.json").read_text())
        return found

    app.server.wait(lambda: again()["PIKU_PROCESS"] != before)
    assert wrong(again()) == {}


@pytest.mark.parametrize("given", ["config:set", "repository"])
def test_variables_reach_what_uwsgi_serves_as_they_are_set(
    new_app: NewApp, named: bool, given: str
) -> None:
    name = called(f"served-{given.partition(':')[0]}", named)
    own = f"NGINX_SERVER_NAME={name}.localhost\n" if named else ""
    env = dotenv.render(VALUES) if given == "repository" else ""
    app = new_app(name, {"Procfile": "wsgi: app:app\n", "app.py": WSGI}, push=False)
    change(app, "ENV", own + env)
    said = "\n".join(app.deployed())
    if given == "config:set":
        app.does("config:set", *(f"{key}={value}" for key, value in VALUES.items()))
    port = re.search(r"It listens on 127\.0\.0\.1:(\d+)", said)
    text = app.direct(int(port[1])) if port else app.body()
    assert wrong(json.loads(text)["env"]) == {}


def change(app: App, file: str, more: str) -> None:
    """Add to a file of the repository, whatever bytes these are."""
    place = app.repository / file
    with place.open("a", errors="surrogateescape") as target:
        target.write(more)
    app.commit()
