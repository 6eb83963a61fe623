"""From an app's files and settings to what nginx and uWSGI read, or to the error it gets.

Each folder is a case. What goes in:

- `Procfile` and `ENV` of the repository, and its other files under `files/`;
- `facts.json`, every key of which may be left out: `settings` (of config:set), `server` (the server's
  ENV), `counts` (SCALING), `platform` (nginx: where it listens, what it can do), `trusted` (whether the
  certificate is), `cloudflare` (its networks), `maintenance` (its record), `app` (its name).

What comes out is `nginx.conf`, and for every process its ini, its variables (`.env`) and its command
(`.sh`), the scripts of scheduled jobs, the app's limits (`limits.sh`), and what the push warns of
(`warnings.txt`); or `error.txt` alone. With UPDATE_GOLDEN=1 in the environment they are written anew:
read the difference before you commit it.

A case whose name begins with "nginx-" is about `nginx.conf` alone. Each of those is also shown to a
newer nginx.

What differs from machine to machine is replaced: folders by ROOT and HOME (ROOT in `settings` as well),
ports that were assigned by PORT-1, PORT-2 in their order, the commit by COMMIT, the environment's name by
ENVIRONMENT.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import piku
from piku import files as files_module
from piku import procfs, subprocesses
from piku.deploy import (
    checkout,
    going_live,
    health,
    instances,
    live_sites,
    process_plan,
    recovery,
    releases,
    revision,
)  # fmt: skip
from piku.deploy.deployment import Deployment, Progress
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service, vhost
from piku.nginx.directives import render
from piku.nginx.site import Platform, Site, SiteState
from piku.operate import server
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from tests.unit.nginx import nginx_opinion

HERE = Path(__file__).parent
CASES = sorted(path.name for path in HERE.iterdir() if (path / "Procfile").exists())
# What nginx of Debian 12 can do; the one installed here is only asked for its opinion.
DEBIAN = {
    "version": (1, 22, 1),
    "modules": ("http_gzip_static_module", "http_v2_module", "threads"),
}
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
INPUTS = {"Procfile", "ENV", "facts.json", "files"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case, brought as far as its files."""

    paths: Paths
    app: AppPaths
    found: revision.Revision
    made: Live
    platform: Platform
    state: SiteState | None
    said: str
    about_nginx: bool

    @property
    def folder(self) -> Path:
        return self.app.start(self.made.start)


Bring = Callable[[str], Case]


@pytest.fixture(scope="session")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Bring:
    """A function that brings a case as far as its files, once for all that look at it; raises PikuError."""
    return functools.cache(lambda name: bring(HERE / name, tmp_path_factory.mktemp("g")))


def bring(folder: Path, base: Path) -> Case:
    """What a deploy of the case does until its processes would start; raises PikuError."""
    facts: dict[str, Any] = json.loads(files_module.read(folder / "facts.json") or "{}")
    paths = Paths(root=base / "root", home=base / "home")
    server.setup(paths)
    files_module.write(paths.server_env, facts.get("server", ""))
    app = paths.app(AppName.parse(facts.get("app", "shop")))
    commit = store(folder, app)
    said = io.StringIO()
    own = {
        name: text.replace("ROOT", str(paths.root))
        for name, text in facts.get("settings", {}).items()
    }
    release = releases.new_release(
        app, kind="push", description=folder.name, commit=commit, by="golden", settings=own
    )
    name = f"v{release.number}"
    found = revision.read(paths, app, commit, own, checkout=name)
    planned = process_plan.plan(found.procfile, found.values, facts.get("counts", {}))
    output = Output(said)
    for warning in planned.warnings:
        output.warn(warning)
    progress = Progress(app, release)
    release = progress.update(
        runtime=found.runtime.name, environment=found.environment, checkout=name
    )
    recovery.make_folders(app)
    checkout.create(app, name, commit)
    deployment = Deployment(
        paths=paths, app=app, live=None, release=release, revision=found, plan=planned, output=output,
        progress=progress,
    )  # fmt: skip
    if facts.get("cgroup"):
        (paths.uwsgi / "cgroup").mkdir()
    for check in hooks("check"):
        check(deployment)
    made = going_live.record(deployment, *instances.create(deployment))
    where = Platform(
        **{"ipv6": True, **DEBIAN, "root": str(paths.root), **tuples(facts.get("platform", {}))}
    )
    beside = None
    if "maintenance" in facts:
        files_module.write(app.envs / "maintenance.json", json.dumps(facts["maintenance"]))
    if made.site is not None:
        if facts.get("trusted"):
            trust(app, made.site)
        if "cloudflare" in facts:
            paths.cloudflare.write_text("\n".join(facts["cloudflare"]))
        states, damaged = live_sites.states(paths, {app.name: made.site})
        if app.name in damaged:
            raise damaged[app.name]
        beside = states[app.name][1]
        service.check(paths, {app.name: (made.site, beside)})
    return Case(
        paths=paths, app=app, found=found, made=made, platform=where, state=beside, said=said.getvalue(),
        about_nginx=folder.name.startswith("nginx-"),
    )  # fmt: skip


def trust(app: AppPaths, site: Site) -> None:
    """Give the app a certificate that seems to be an authority's."""
    own = certificate.certificate(app, site.all_names)
    text = Path(own.path).read_text().partition("\n")[2]
    trusted = replace(own, trusted=True, source="acme.sh")
    certificate.write(app, certificate.ACME, trusted, text)


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON holds, as records do."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def store(folder: Path, app: AppPaths) -> str:
    """Commit the case's files to the app's repository; returns the commit."""
    subprocesses.run(
        ["git", "init", "--quiet", "--bare", "--template=", "-b", "main", str(app.repo)]
    )
    files = {name: folder / name for name in ("Procfile", "ENV") if (folder / name).exists()}
    inside = (path for path in sorted((folder / "files").rglob("*")) if path.is_file())
    files |= {str(path.relative_to(folder / "files")): path for path in inside}
    stream = b"commit refs/heads/main\ncommitter G <g@g> 1700000000 +0000\ndata 6\ngolden\n"
    for name, path in files.items():
        data = path.read_bytes()
        stream += f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n"
    git = ["git", "-C", str(app.repo)]
    subprocess.run(
        [*git, "fast-import", "--quiet"], input=stream, check=True, stdout=subprocess.DEVNULL
    )
    return subprocesses.run([*git, "rev-parse", "main"]).strip()


def outcome(case: Case) -> dict[str, str]:
    """The files that come out, with the machine's own taken out of them."""
    found: dict[str, str] = {}
    if case.made.site is not None and case.state is not None:
        found["nginx.conf"] = render(vhost.directives(case.made.site, case.platform, case.state))
    for process in () if case.about_nginx else case.made.processes:
        name = process.worker
        found[f"{name}.ini"] = (
            case.paths.available / f"{process.vassal(case.app.name)}.ini"
        ).read_text()
        script = case.folder / f"{name}.sh"
        if script.exists():
            found[f"{name}.sh"] = script.read_text()
        if process.schedules:
            found |= {path.name: path.read_text() for path in case.folder.glob("cron-*.sh")}
        limits = case.folder / "limits.sh"
        if limits.exists():
            found["limits.sh"] = limits.read_text().partition("# ")[0]
        variables = sorted(
            path
            for kind in ("env", "blanks")
            for path in (case.folder / f"{name}.{kind}").iterdir()
        )
        found[f"{name}.env"] = "".join(f"{path.name}={path.read_text()}" for path in variables)
    if case.said:
        found["warnings.txt"] = case.said
    assigned = [process.port for process in case.made.processes if process.port]
    fixed = case.found.values.get("PORT")
    replacements = {
        str(case.paths.root): "ROOT",
        str(Path(piku.__file__).parent): "PIKU",
        str(case.paths.home): "HOME",
        releases.load_release(case.app, case.made.release).commit: "COMMIT",
        **({case.found.environment: "ENVIRONMENT"} if case.found.environment else {}),
        f"USER={pwd.getpwuid(os.getuid()).pw_name}\n": "USER=USER\n",
    }
    return {
        name: neutral(text, replacements, [p for p in assigned if str(p) != fixed])
        for name, text in found.items()
    }


def neutral(text: str, replacements: dict[str, str], ports: list[int]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    for number, port in enumerate(ports, 1):
        text = re.sub(rf"\b{port}\b", f"PORT-{number}", text)
    text = re.sub(r"(piku_[\w-]+)_[0-9a-f]{8}\b", r"\1_CACHE", text)  # named by its folder
    return re.sub(r"\bpython3\d+\b", "python3X", text)


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, brought: Bring) -> None:
    folder = HERE / name
    try:
        found = outcome(brought(name))
    except PikuError as error:
        words = (
            *error.detail,
            f" !     {error.message}",
            *([f" !     {error.hint}"] if error.hint else []),
        )
        text = "".join(f"{line}\n" for line in words)
        found = {
            "error.txt": re.sub(
                r"/[^ ':]*/g\d+/(root|home)\b", lambda match: match[1].upper(), text
            )
        }
    expected = {path.name: path for path in folder.iterdir() if path.name not in INPUTS}
    if UPDATE:
        for path in expected.values():
            path.unlink()
        for file, text in found.items():
            (folder / file).write_text(text)
        return
    assert {file: path.read_text() for file, path in expected.items()} == found


# --- what a newer nginx says ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if (HERE / name / "nginx.conf").exists()])
def test_a_newer_nginx_accepts_it_too(name: str, brought: Bring) -> None:
    case = brought(name)
    assert case.made.site is not None and case.state is not None
    for one in (nginx_opinion.installed(), nginx_opinion.newer()):
        accepted, told = one.judges([(case.made.site, case.state)])
        assert accepted and told == "", "and neither warns of anything"


# --- what the real uWSGI makes of the ini files --------------------------------------------------


SERVED = [name for name in CASES if list((HERE / name).glob("*.ini"))]


@pytest.mark.parametrize("name", SERVED)
def test_the_real_uwsgi_starts_every_process(name: str, brought: Bring) -> None:
    case = brought(name)
    environment = case.app.envs / case.found.environment
    if case.found.environment and not environment.exists():
        bare = ["--no-download", "--no-pip", "--no-setuptools", "--no-wheel"]
        subprocess.run(["virtualenv", "--quiet", *bare, str(environment)], check=True)
    for process in case.made.processes:
        log = case.app.logs / f"{process.worker}@{process.start}.log"
        with started(case, process, log) as uwsgi:
            for _ in files_module.poll(time.monotonic() + 20, most=0.02):
                if uwsgi.poll() is not None or works(case, process, uwsgi.pid):
                    break
            else:
                pytest.fail(log.read_text())
            assert uwsgi.poll() is None, log.read_text()


@contextlib.contextmanager
def started(case: Case, process: Process, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """uWSGI with the ini of a process, killed at the end with all below it: its own ways take a second."""
    ini = case.paths.available / f"{process.vassal(case.app.name)}.ini"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))  # what it says before it has read where to log
        held = None
        if Path(f"{ini}.demand").exists():  # the emperor listens, and hands that over
            held = stack.enter_context(socket.socket(socket.AF_UNIX))
            held.bind(process.address)
            held.listen()
        uwsgi = stack.enter_context(
            subprocess.Popen(
                ["uwsgi", "--ini", str(ini)], env={"PATH": subprocesses.SYSTEM_PATH},
                stdin=held or subprocess.DEVNULL, stdout=output, stderr=output,
            )
        )  # fmt: skip
        try:
            yield uwsgi
        finally:
            for pid in (uwsgi.pid, *procfs.descendants(uwsgi.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def works(case: Case, process: Process, uwsgi: int) -> bool:
    """Whether a daemon's command was run, or an app that uWSGI serves answers a request."""
    if process.schedules:
        return "spawned uWSGI master" in files_module.read(process.log(case.app))
    if (case.folder / f"{process.worker}.sh").exists():
        ended = health.ending(case.app, process) is not None
        return ended or bool(health.daemon_pid(case.app, process, uwsgi))
    request = b"GET / HTTP/1.0\r\n\r\n"
    host, _, port = process.address.rpartition(":")
    where: str | tuple[str, int] = process.address if process.by_socket else (host, int(port))
    if process.by_socket:
        pairs = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.0"}
        words = [word.encode() for pair in pairs.items() for word in pair]
        body = b"".join(struct.pack("<H", len(word)) + word for word in words)
        request = struct.pack("<BHB", 0, len(body), 0) + body
    with socket.socket(socket.AF_UNIX if process.by_socket else socket.AF_INET) as client:
        client.settimeout(5)
        try:
            client.connect(where)
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"ok")
        except OSError:
            return False


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """No test leaves a process behind: the next one may be given its port."""
    yield
    assert procfs.children(os.getpid()) == []
