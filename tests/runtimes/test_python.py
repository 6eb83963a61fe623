"""Python apps with requirements.txt: what a build sees and costs, and the ways in which uWSGI runs one."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, wsgi
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]

WSGI_ABOUT = """
import json, os
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({"env": dict(os.environ), "nice": os.nice(0)}).encode()]
"""
WORKER = """
import json, os, pathlib, signal
here = pathlib.Path(os.environ["DATA_ROOT"])
(here / "worker.tmp").write_text(json.dumps({"env": dict(os.environ), "nice": os.nice(0)}))
(here / "worker.tmp").rename(here / "worker.json")
signal.pause()
"""
# A package of the repository whose build says what it sees; no other package is needed to build it.
BACKEND = {
    "requirements.txt": "./probe\n",
    "probe/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "probe/backend.py": """
import json, os, pathlib, subprocess, sys, zipfile
WHEEL = "Wheel-Version: 1.0\\nGenerator: it\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    ionice = subprocess.run(["ionice", "-p", str(os.getpid())], capture_output=True, text=True).stdout.strip()
    seen = {"env": dict(os.environ), "nice": os.nice(0), "ionice": ionice}
    pathlib.Path(os.environ["DATA_ROOT"], "build.json").write_text(json.dumps(seen))
    name = "probe-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("probe-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: probe\\nVersion: 1\\n")
        wheel.writestr("probe-1.dist-info/WHEEL", WHEEL)
        wheel.writestr("probe-1.dist-info/RECORD", "")
    return name
""",
}


def test_an_environment_is_built_when_its_requirements_change(
    new_app: NewApp, example: Callable[[str], Path]
) -> None:
    app = new_app("python", example("python-wsgi"))
    app.commit(requirements_txt="itsdangerous==2.2.0\n")
    first = built(app, "python")
    app.commit(app_py=(app.repository / "app.py").read_text().replace("Hello", "Goodbye"))
    reused(app)
    assert "Goodbye from Piku" in app.body()
    versions = "python -c 'import itsdangerous as i, importlib.metadata as m; print(m.version(i.__name__))'"
    assert app.does("run", "--", versions) == "2.2.0\n"
    app.commit(requirements_txt="itsdangerous==2.1.2\n")
    assert built(app, "python") != first
    assert app.does("run", "--", versions) == "2.1.2\n"
    app.commit(requirements_txt="itsdangerous==99\n")
    build_failed(
        app, r"`pip install .*-r requirements.txt` failed with exit code 1", "itsdangerous==99"
    )
    assert "Goodbye from Piku" in app.body()
    assert app.does("run", "--", versions) == "2.1.2\n"


def test_a_version_of_python_that_is_not_there(new_app: NewApp) -> None:
    app = new_app("python-version", {**wsgi("python-version"), "requirements.txt": ""})
    for version in ("3.99", "2", "2.7"):
        said = app.says("config:set", f"PYTHON_VERSION={version}")
        text = said.stdout + said.stderr
        assert said.returncode == 1
        asks = f"PYTHON_VERSION asks for Python {version}, and this server has Python 3.11."
        assert asks in text
        assert f"install python{version} on the server" in text
    assert app.says("config:set", "PYTHON_VERSION=3.11").returncode == 0
    assert app.body() == "one"


def test_build_run_and_worker_see_the_same(new_app: NewApp, server: Sandbox) -> None:
    files = {
        "Procfile": "wsgi: app:app\nworker: exec python3 worker.py\n", "app.py": WSGI_ABOUT, "worker.py": WORKER,
        "ENV": "COLOR=green\nPAINT=${COLOR}-paint\nODD= a  'b' \\ % $$ é \n", **BACKEND,
    }  # fmt: skip
    app = new_app("same", files, push=False)
    app.deployed()
    app.does("config:set", "PAINT=literal $COLOR")
    app.server.commit(app.repository, {"probe/more.txt": "changed"})
    built(app, "python")

    def data(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (server.root / "data" / "same" / f"{name}.json").read_text()
        )
        return found

    app.server.wait(lambda: data("worker")["env"]["PIKU_RELEASE"] == str(app.live()))
    build, worker, served = data("build"), data("worker"), json.loads(app.body())
    run = dict(
        line.split("=", 1)
        for line in app.does("run", "--", "python3", "-c", PRINT).split("\0")
        if "=" in line
    )
    seen = {
        "run": run,
        **{
            name: each["env"]
            for name, each in (("build", build), ("worker", worker), ("wsgi", served))
        },
    }
    # pip puts folders of the build's own in front of PATH.
    assert seen["build"]["PATH"].endswith(":" + run["PATH"])
    seen["build"]["PATH"] = run["PATH"]
    # What pip, uWSGI and bash add for themselves; PORT is for what listens on one, and the mark for what
    # the emperor runs.
    added = (
        "PIKU_PROCESS",
        "PIP_",
        "UWSGI_",
        "PEP517_",
        "_PYPROJECT_HOOKS_",
        "PYTHONPATH",
        "PYTHONNOUSERSITE",
        "SHLVL",
        "PORT",
    )
    for name, variables in seen.items():
        mine = {
            key: value
            for key, value in variables.items()
            if not key.startswith(added) and key != "_"
        }
        assert mine == {key: value for key, value in run.items() if key in mine}, name
        assert mine.keys() == {key for key in run if not key.startswith(added) and key != "_"}, name
    for key in (
        "APP",
        "HOME",
        "USER",
        "LOG_ROOT",
        "DATA_ROOT",
        "VIRTUAL_ENV",
        "PIKU_RELEASE",
        "PIKU_COMMIT",
        "PWD",
    ):
        assert run[key], key
    assert (run["COLOR"], run["PAINT"], run["ODD"]) == (
        "green",
        "literal $COLOR",
        "a  'b' \\ % $$ é",
    )
    assert (run["PYTHONUNBUFFERED"], run["PYTHONIOENCODING"]) == ("1", "UTF_8:replace")
    # A build leaves the processor and the disk to what serves.
    assert build["nice"] == 10
    assert build["ionice"] == "best-effort: prio 7"
    assert worker["nice"] == served["nice"] == 0


PRINT = "import os; print(*(f'{k}={v}' for k, v in os.environ.items()), sep=chr(0), end='')"


def test_a_build_that_is_stuck_ends_with_all_it_started(new_app: NewApp) -> None:
    app = new_app("stuck", {**wsgi("stuck"), "requirements.txt": ""})
    marker = f"31{os.getpid()}.25"
    stuck = f"""
import subprocess
def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("waiting for nothing", flush=True)
    subprocess.run(["sh", "-c", "sleep {marker} & sleep {marker}; true"])
"""
    env = (app.repository / "ENV").read_text() + "PIKU_BUILD_TIMEOUT=30\n"
    app.server.commit(app.repository, {**BACKEND, "probe/backend.py": stuck, "ENV": env})
    result: list[list[str]] = []
    push = threading.Thread(target=lambda: result.append(app.failed()))
    begun = time.monotonic()
    push.start()
    while len(sleepers(marker)) < 2:
        assert push.is_alive(), result
        time.sleep(0.05)
    push.join()
    assert 30 <= time.monotonic() - begun < 150
    expected = "v2 failed at building its environment: pip did not end within 30 s and was killed"
    assert any(expected in line for line in result[0]), result
    assert not sleepers(marker)
    assert app.body() == "one"


def sleepers(marker: str) -> list[int]:
    def commands() -> Iterator[tuple[int, bytes]]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield int(path.parent.name), path.read_bytes()
            except OSError:
                continue

    return [pid for pid, text in commands() if text == f"sleep\0{marker}\0".encode()]


def test_the_transcript_of_a_build_is_kept(new_app: NewApp) -> None:
    app = new_app("kept", {**wsgi("kept"), "requirements.txt": "itsdangerous==2.2.0\n"})
    app.commit(requirements_txt="itsdangerous==98\n")
    app.failed()
    for said in (
        app.does("logs", "build", "-n", "500"),
        app.asked("logs", "build", "-n", "500").stdout,
    ):
        text = said.splitlines()
        first = next(i for i, line in enumerate(text) if "Release v1 of kept" in line)
        second = next(i for i, line in enumerate(text) if "Release v2 of kept" in line)
        assert any(
            "Successfully installed itsdangerous-2.2.0" in line for line in text[first:second]
        )
        assert any("v1 is live" in line for line in text[first:second])
        assert any(
            "No matching distribution found for itsdangerous==98" in line for line in text[second:]
        )
        assert any("v2 failed at building its environment" in line for line in text[second:])


# --- gevent and asyncio --------------------------------------------------------------------------

SLOW = """
import time
def app(environ, start_response):
    time.sleep(1)
    start_response("200 OK", [])
    return [b"awake"]
"""
ASYNC = """
import asyncio, greenlet
def wait(seconds):
    me = greenlet.getcurrent()
    asyncio.get_event_loop().call_later(seconds, me.switch)
    me.parent.switch()
def app(environ, start_response):
    wait(1)
    start_response("200 OK", [])
    return [b"awake"]
"""


def at_once(app: App, count: int) -> float:
    """So many requests at the same time; how long they took together."""
    answers: list[str] = []
    clients = [threading.Thread(target=lambda: answers.append(app.body())) for _ in range(count)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == ["awake"] * count
    return time.monotonic() - begun


@pytest.mark.parametrize(
    ("setting", "library", "code"),
    [("UWSGI_GEVENT", "gevent", SLOW), ("UWSGI_ASYNCIO", "greenlet", ASYNC)],
)
def test_one_process_answers_many_requests_at_once(
    new_app: NewApp, setting: str, library: str, code: str
) -> None:
    name = library
    files = {
        "Procfile": "wsgi: app:app\n", "app.py": code, "requirements.txt": f"{library}\n",
        "ENV": f"{setting}=20\nUWSGI_PROCESSES=1\n",
    }  # fmt: skip
    app = new_app(name, files)
    taken = at_once(app, 12)
    assert taken < 10, taken  # one after the other they would take 12 s
    # Without the library it cannot work, which is said before anything is stopped.
    app.commit(requirements_txt="")
    said = app.failed()
    assert any(f"{setting}: the app does not have {library}" in line for line in said), said
    assert any(f"add {library} to its requirements" in line for line in said), said
    assert app.body() == "awake"


def test_gevent_and_asyncio_exclude_each_other(new_app: NewApp) -> None:
    app = new_app("loops", {**wsgi("loops"), "requirements.txt": ""})
    said = app.says("config:set", "UWSGI_GEVENT=2", "UWSGI_ASYNCIO=2")
    assert said.returncode == 1
    assert "UWSGI_GEVENT and UWSGI_ASYNCIO exclude each other" in said.stdout + said.stderr
    assert app.body() == "one"
