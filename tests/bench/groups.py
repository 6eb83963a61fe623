"""What is measured, one function for each group of rows."""

import itertools
import re
import shlex
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apps
import processes
from floors import UWSGI, Bare, accepts, reload
from laptop import HOST
from measure import Results, Row, alternating, clock, megabytes, peaks, rate, written
from sandbox import Sandbox

PIKU, PYTHON = "bin/piku", "/usr/bin/python3"
STEPS = re.compile(r"is live after ([\d.]+) s \((.*)\)")
Group = Callable[[Sandbox, Bare, Results, bool], None]
BOARD = "A small board"


def pushed(server: Sandbox, repository: Path, app: str) -> str:
    result = server.push(repository, app)
    if result.returncode != 0:
        raise SystemExit(result.stdout)
    return result.stdout


def change(server: Sandbox, repository: Path, number: int) -> None:
    server.commit(repository, {"public/changed.txt": f"{number}\n"}, f"Change {number}")


# --- pushes -----------------------------------------------------------------------------------


def push(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """A push when only code has changed, until the new release answers."""
    pem = server.root / "nginx" / "static@self-signed.pem"
    shown = {}
    for kind in ("wsgi", "web", "static"):
        repository = server.repository(kind, apps.files(kind))
        pushed(server, repository, kind)
        address = bare.repository(f"{kind}-bare", kind)
        if kind == "static":
            root = f"root {bare.folder}/static-bare/public; try_files $uri $uri/ =404;"
            bare.nginx([("static.localhost", root, pem)])
        subprocess.run(bare.push(repository, address), check=True, env=bare.env())

        def commands(number: int) -> list[list[str]]:
            change(server, repository, number)  # noqa: B023 (used in this turn of the loop)
            targets = (server.remote(kind), address)  # noqa: B023
            return [bare.push(repository, target) for target in targets]  # noqa: B023

        ours, floor = alternating(commands, bare.env(), 3 if quick else 9)
        results.add(Row(group="Push", name=f"a code change, `{kind}`", unit="s", ours=ours, floor=floor, limit=1.5))  # fmt: skip
        change(server, repository, 99)
        text = pushed(server, repository, kind)
        if found := STEPS.search(text):
            steps = (part.rpartition(" ") for part in found[2].split(", "))
            spans = {name: float(took) for name, _, took in steps}
            whole = statistics.median(ours)
            shown[kind] = {"ssh, git, start of the hook": max(0, whole - float(found[1])), **spans}
    results.series["steps"] = shown


def first(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """The first push of an app: without dependencies, and with ten packages of PyPI."""
    store, kept = server.root / "cache" / "@pip", set[Path]()
    for title, packages, limit in (("no dependencies", (), 1.3), ("ten PyPI packages", apps.TEN, 1.15)):  # fmt: skip
        kind, place = "ten" if packages else "none", bare.folder / "{}" / "venv"
        files = {**apps.files("wsgi"), "requirements.txt": "\n".join((*packages, ""))}
        builds = {"pip": "{0}/bin/pip install -q -r requirements.txt" if packages else ""}
        if packages and shutil.which("uv"):
            builds["uv"] = "uv pip install -q --python {0}/bin/python -r requirements.txt"
        titles = iter(itertools.count())

        def commands(_number: int) -> list[list[str]]:
            found, number = [], next(titles)  # noqa: B023
            for tool, build in {"": "", **builds}.items():  # noqa: B023
                name = f"{kind}-{tool or 'piku'}-{number}"  # noqa: B023
                env = {"ENV": f"NGINX_SERVER_NAME={name}.localhost\n"}
                repository = server.repository(name, {**files, **env})  # noqa: B023
                venv = str(place).format(name)  # noqa: B023
                lines = f"virtualenv -q {venv}\n{build.format(venv)}"
                address = bare.repository(name, "wsgi", build=lines, venv=f"--virtualenv {venv}")
                found.append(bare.push(repository, address if tool else server.remote(name)))
            return found

        if packages:
            alternating(commands, bare.env(), 1)  # the caches are filled
            kept = set(store.iterdir())
        ours, *floors = alternating(commands, bare.env(), 1 if quick else 3)
        for tool, floor in zip(builds, floors, strict=True):
            name = f"the first, {title}" + (f", {tool} by hand" if packages else "")
            results.add(Row(group="Push", name=name, unit="s", ours=ours, floor=floor, limit=limit))
    loads = [float(len(set(store.iterdir()) - kept))]
    results.add(Row(group="Push", name="packages that further apps with the same download", unit="", ours=loads))  # fmt: skip


def many_runs(
    server: Sandbox, words: tuple[str, ...], by_hand: list[str], runs: int
) -> tuple[list[float], list[float]]:
    env = server.server_env()
    command = [str(server.checkout / PIKU), *words]
    ours, floor = alternating(lambda _: [command, by_hand], env, runs)
    return ours, floor


def commands(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """Commands on the server, and over ssh with a hundred apps."""
    runs = 5 if quick else 15
    pushed(server, server.repository("wsgi", apps.files("wsgi")), "wsgi")
    by_hand = [PYTHON, "-c", "import click"]
    for words in (("apps",), ("config", "wsgi"), ("ps", "wsgi")):
        ours, floor = many_runs(server, words, by_hand, runs)
        name = f"`piku {words[0]}`, on the server"
        results.add(Row(group="Commands", name=name, unit="s", ours=ours, floor=floor, limit=1.5))
    pushed(server, server.repository("seed", apps.files("static", "seed")), "seed")
    apps.multiply(server, "seed", 100)
    far = ["ssh", *server.ssh_options(), server.address, "apps"]
    ours, floor = alternating(lambda _: [far, bare.ssh("true")], server.client_env(), runs)
    name = "`apps` over ssh, with 100 apps"
    results.add(Row(group="Commands", name=name, unit="s", ours=ours, floor=floor, limit=1.3))


def changes(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """What starts the processes anew, against the start of such a process until it answers."""
    repository = server.repository("wsgi", apps.files("wsgi"))
    pushed(server, repository, "wsgi")
    change(server, repository, 1)
    pushed(server, repository, "wsgi")
    log, socket = bare.folder / "hand.log", f"{HOST}:{bare.http}"
    for name, words in (
        ("rollback", lambda _: ("rollback", "wsgi")),
        ("config:set", lambda number: ("config:set", "wsgi", f"NUMBER={number}")),
        ("restart", lambda _: ("restart", "wsgi")),
        ("ps:scale", lambda number: ("ps:scale", "wsgi", f"wsgi={2 + number % 2}")),
    ):
        ours, floor = [], []
        for number in range(2 if quick else 6):
            ours.append(clock(lambda: done(server, *words(number))))  # noqa: B023
            start = f"exec {UWSGI} --http-socket {socket} --wsgi-file {repository}/app.py --logto {log}"  # fmt: skip
            started: list[subprocess.Popen[bytes]] = []

            def by_hand() -> None:
                started.append(bare.run("sh", "-c", start))  # noqa: B023
                server.wait(lambda: accepts(bare.http))

            floor.append(clock(by_hand))
            bare.stop(started[0])
        results.add(Row(group="Changes", name=f"`{name}`", unit="s", ours=ours, floor=floor, limit=1.5))  # fmt: skip


def done(server: Sandbox, *words: str) -> None:
    result = server.piku(*words)
    if result.returncode != 0:
        raise SystemExit(f"piku {shlex.join(words)}: {result.stdout}{result.stderr}")


# --- requests ---------------------------------------------------------------------------------


def requests(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """Requests a second. A `web` program is the same one on both sides; uWSGI is one by hand. Each
    app has the name "localhost" while it is measured: wrk names the host that it connects to."""
    for kind in filter(apps.runs, apps.KINDS):
        pushed(server, server.repository(kind, apps.files(kind, "")), kind)
        content, upstreams = (
            f"root {server.root}/apps/{kind}/public; try_files $uri $uri/ =404;",
            "",
        )
        started = []
        if kind == "wsgi":
            socket, log = bare.folder / "wsgi.sock", bare.folder / "wsgi.log"
            where = f"--socket {socket} --chdir {server.root}/apps/wsgi --wsgi-file app.py --logto {log}"
            started.append(bare.run("sh", "-c", f"exec {UWSGI} {where}"))
            server.wait(socket.exists)
            content = f"uwsgi_pass unix:{socket}; include /etc/nginx/uwsgi_params;"
        elif kind != "static":
            text = (server.root / "nginx" / f"{kind}.conf").read_text()
            address = re.findall(r"server (127[\d.:]+)", text)[0]
            upstreams = f"    upstream app {{ server {address}; keepalive 32; }}\n"
            content = "proxy_pass http://app;"
        pem = server.root / "nginx" / f"{kind}@self-signed.pem"
        started.append(bare.nginx([("localhost", content, pem)], upstreams))
        for tls, (size, path) in itertools.product((False, True), apps.SIZES.items()):
            ours, floor = list[float](), list[float]()
            for _ in range(1 if quick else 3):
                ours.append(rate(server.https_port if tls else server.http_port, path, tls=tls))
                floor.append(rate(bare.https if tls else bare.http, path, tls=tls))
            name = f"{apps.KINDS[kind]}, {size}{', TLS' if tls else ''}"
            results.add(
                Row(
                    group="Requests a second",
                    name=name,
                    unit="/s",
                    ours=ours,
                    floor=floor,
                    limit=0.97,
                    more=True,
                )
            )
        for each in reversed(started):
            each.terminate()
            each.wait()
        done(server, "destroy", kind, "--force")


def latency(server: Sandbox, _bare: Bare, results: Results, quick: bool) -> None:
    """The slowest in a hundred answers while releases replace each other, and while none does."""
    shown = {}
    for kind in ("wsgi", "web"):
        repository = server.repository(kind, apps.files(kind))
        pushed(server, repository, kind)

        def redeploy() -> None:
            for number in range(1 if quick else 4):
                change(server, repository, number)  # noqa: B023
                pushed(server, repository, kind)  # noqa: B023

        quiet = sampled(server, kind, lambda: time.sleep(2 if quick else 6))
        busy = sampled(server, kind, redeploy)
        slowest = [[1000 * percentile([took for _, took in each], 99)] for each in (busy, quiet)]
        name = f"p99 during redeploys, `{kind}`, against quiet"
        results.add(Row(group="Latency", name=name, unit="ms", ours=slowest[0], floor=slowest[1], limit=2))  # fmt: skip
        shown[kind] = [(round(at, 3), round(1000 * took, 2)) for at, took in busy if at < 4]
    results.series["latency"] = shown


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def sampled(server: Sandbox, kind: str, action: Callable[[], object]) -> list[tuple[float, float]]:
    """When each of many requests was made while the action lasts, and how long its answer took:
    one every 5 ms by each of two clients. wrk asks as fast as it can, and would measure a queue."""
    found, over, begun = list[tuple[float, float]](), threading.Event(), time.monotonic()

    def ask() -> None:
        while not over.wait(0.005):
            at = time.monotonic()
            if server.get(f"{kind}.localhost")[0] != 200:
                raise SystemExit(f"{kind} did not answer")
            found.append((at - begun, time.monotonic() - at))

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        action()
    finally:
        over.set()
        for client in clients:
            client.join()
    return sorted(found)


# --- memory and the disk ----------------------------------------------------------------------


def memory(server: Sandbox, bare: Bare, results: Results, _quick: bool) -> None:
    """Of what runs while nothing is asked: shares of all that a process uses."""

    def add(name: str, ours: set[processes.Process], floor: set[processes.Process]) -> None:
        values = [megabytes(ours)], [megabytes(floor)]
        results.add(Row(group="Memory", name=name, unit="MB", ours=values[0], floor=values[1], limit=1.1))  # fmt: skip

    def vassal(kind: str) -> set[processes.Process]:
        roots = [one.pid for one in server.processes() if f"--ini {kind}@" in str(one)]
        return processes.tree(*roots)

    empty = bare.folder / "vassals"
    empty.mkdir()
    emperor = bare.run("/usr/bin/uwsgi", "--emperor", str(empty))
    nginx = bare.nginx([("idle", "return 404;", None)])
    platform = server.platform_pid()
    # Housekeeping runs when the platform has started, and for a moment every two minutes.
    server.wait(lambda: not any("python" in str(one) for one in processes.tree(platform)))
    idle = processes.tree(platform)
    by_hand = processes.tree(emperor.pid, nginx.pid)
    add("an idle server", idle, by_hand)
    starts = {"wsgi": "--plugin python3 --processes 1 --threads 4 --enable-threads --wsgi-file app.py",
              "web": "--processes 0 --attach-daemon 'exec python3 server.py'"}  # fmt: skip
    for kind, words in starts.items():
        repository = server.repository(kind, apps.files(kind))
        pushed(server, repository, kind)
        command = f"cd {repository}; exec uwsgi --master --die-on-term --socket {bare.folder}/{kind}.sock {words}"  # fmt: skip
        started = bare.run("sh", "-c", command, PORT=str(bare.https), BIND_ADDRESS=HOST)
        server.wait(lambda: len(processes.tree(started.pid)) > 1)  # noqa: B023
        time.sleep(2)  # what starts takes more for a moment
        add(f"an app, `{kind}`", vassal(kind), processes.tree(started.pid))


def board(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """What matters on a small board: the largest of our programs, and what is written."""
    repository = server.repository("wsgi", apps.files("wsgi"))
    pushed(server, repository, "wsgi")
    roots = (server.sshd_pid(), server.platform_pid())
    sizes, wrote = list[float](), list[float]()
    for number in range(2 if quick else 4):
        change(server, repository, number)
        before = written(*roots)
        size = peaks(bare.push(repository, server.remote("wsgi")), bare.env())
        wrote.append((written(*roots) - before) / 1024)
        sizes.append(max(size.values()))
    results.add(Row(group=BOARD, name="largest program of ours in a push", unit="MB", ours=sizes))
    results.add(Row(group=BOARD, name="written by a deploy of a code change", unit="kB", ours=wrote))  # fmt: skip
    for words in (("apps",), ("config", "wsgi"), ("ps", "wsgi"), ("restart", "wsgi")):
        size = peaks([str(server.checkout / PIKU), *words], server.server_env())
        name = f"`piku {words[0]}`"
        results.add(Row(group=BOARD, name=name, unit="MB", ours=[max(size.values(), default=0)]))
    before, seconds = written(*roots), 20 if quick else 120  # one housekeeping, whenever it comes
    time.sleep(seconds)
    hourly = (written(*roots) - before) / 1024 * 3600 / seconds
    results.add(Row(group=BOARD, name="written in an hour, while nobody asks", unit="kB", ours=[hourly]))  # fmt: skip


# --- many apps --------------------------------------------------------------------------------


def many(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """A push with ever more apps beside it, and with ever more releases before it."""
    counts = (1, 20) if quick else (1, 100, 500)
    repository = server.repository("seed", apps.files("static", "seed"))
    pushed(server, repository, "seed")
    times: dict[int, list[float]] = {}
    number = itertools.count()
    for count in counts:
        apps.multiply(server, "seed", count)
        times[count] = []
        for _ in range(3 if quick else 7):
            change(server, repository, next(number))
            command = bare.push(repository, server.remote("seed"))
            times[count] += alternating(lambda _: [command], bare.env(), 1)[0]  # noqa: B023
        name = f"a code change, `static`, with {count} apps, against one"
        results.add(Row(group="Many apps", name=name, unit="s", ours=times[count],
                        floor=times[counts[0]], limit=1.2 * (count > 1)))  # fmt: skip
    results.series["apps"] = {str(count): statistics.median(each) for count, each in times.items()}
    names = [path.stem for path in (server.root / "nginx").glob("*.conf") if "@" not in path.name]
    root = f"root {server.root}/apps/seed/public; try_files $uri $uri/ =404;"
    sites = [(f"{name}.localhost", root, server.root / f"nginx/{name}@self-signed.pem") for name in names]  # fmt: skip
    master = bare.nginx(sites)
    own = int((server.root / "nginx" / "nginx.pid").read_text())
    ours, floor = [], []
    for _ in range(3 if quick else 7):
        ours.append(clock(lambda: reload(own)))
        floor.append(clock(lambda: reload(master.pid)))
    name = f"reload of nginx with {len(names)} apps"
    results.add(Row(group="Many apps", name=name, unit="s", ours=ours, floor=floor, limit=1.2))


def past(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """A push after ever more releases."""
    repository = server.repository("static", apps.files("static"))
    pushed(server, repository, "static")
    shown, first_times = {}, list[float]()
    for count in (1, 20) if quick else (1, 100, 2000):
        apps.age(server, repository, "static", count)
        pushed(server, repository, "static")
        times = []
        for number in range(3 if quick else 7):
            change(server, repository, count * 10 + number)
            command = bare.push(repository, server.remote("static"))
            times += alternating(lambda _: [command], bare.env(), 1)[0]  # noqa: B023
        first_times = first_times or times
        shown[str(count)] = statistics.median(times)
        name = f"a code change, `static`, after {count} releases, against one"
        results.add(Row(group="Many apps", name=name, unit="s", ours=times, floor=first_times,
                        limit=1.2 * (count > 1)))  # fmt: skip
    results.series["releases"] = shown


def boot(server: Sandbox, bare: Bare, results: Results, quick: bool) -> None:
    """From the start of the platform until all of its apps answer."""
    count = 10 if quick else 200
    pushed(server, server.repository("seed", apps.files("wsgi", "seed")), "seed")
    apps.multiply(server, "seed", count)
    names = apps.names("seed", count)
    server.wait(lambda: apps.all_answer(server.http_port, names), timeout=300)
    vassals = bare.folder / "vassals"
    vassals.mkdir()
    for name in names:
        options = {"socket": f"{bare.folder}/{name}.sock", "chdir": f"{server.root}/apps/{name}",
                   "wsgi-file": "app.py", "plugin": "python3", "master": "true", "threads": "4",
                   "die-on-term": "true", "logto": f"{bare.folder}/{name}.log"}  # fmt: skip
        lines = "".join(f"{key} = {value}\n" for key, value in options.items())
        (vassals / f"{name}.ini").write_text(f"[uwsgi]\n{lines}")
    sites = [(f"{name}.localhost", f"uwsgi_pass unix:{bare.folder}/{name}.sock; include /etc/nginx/uwsgi_params;",
              server.root / f"nginx/{name}@self-signed.pem") for name in names]  # fmt: skip

    def start() -> None:
        server.start_platform(timeout=300)
        server.wait(lambda: apps.all_answer(server.http_port, names), timeout=300)

    def by_hand() -> None:
        running.append(bare.run("/usr/bin/uwsgi", "--emperor", str(vassals)))
        running.append(bare.nginx(sites))
        server.wait(lambda: apps.all_answer(bare.http, names), timeout=300)

    ours, floor = [], []
    for _ in range(1 if quick else 2):
        server.stop_platform(timeout=120)
        running = list[subprocess.Popen[bytes]]()
        floor.append(clock(by_hand))
        for each in reversed(running):
            each.terminate()
            each.wait()
        ours.append(clock(start))
    name = f"start of the platform with {count} apps, until all answer"
    results.add(Row(group="Many apps", name=name, unit="s", ours=ours, floor=floor, limit=1.2))


GROUPS: dict[str, Group] = {
    "push": push, "first": first, "commands": commands, "changes": changes, "requests": requests,
    "latency": latency, "memory": memory, "board": board, "many": many, "past": past, "boot": boot,
}  # fmt: skip
