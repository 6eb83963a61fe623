"""Promises 1 and 4: whatever fails in a deploy, the old release serves throughout, and the push tells why."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import pytest
from sandbox import Sandbox, free_ports

from tests.faults.support import App, Watch, files, new_app, said, side_by_side

LISTENS_ELSEWHERE = 'Server((os.environ["BIND_ADDRESS"], 0), Handler).serve_forever()\n'
SERVER = files("web", "")["server.py"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A commit that fails: the step it names, and words that tell the cause."""

    kind: str = "web"
    changed: Mapping[str, str]
    settings: str = ""
    step: str
    cause: tuple[str, ...]


WEB = "web: exec python3 server.py\n"
FAULTS = {
    "pip": Fault(
        kind="wsgi",
        changed={"requirements.txt": "no-such-package-anywhere==1\n"},
        settings="PIP_NO_INDEX=1\n",
        step="building its environment",
        cause=("No matching distribution found for no-such-package-anywhere==1", "`pip install"),
    ),
    "preflight": Fault(
        changed={"Procfile": f"{WEB}preflight: echo the licence has expired >&2; exit 3\n"},
        step="the preflight command",
        cause=("the licence has expired", "exit code 3"),
    ),
    "preflight killed": Fault(
        changed={"Procfile": f"{WEB}preflight: kill -9 $$\n"},
        step="the preflight command",
        cause=("signal 9",),
    ),
    "release command": Fault(
        changed={"Procfile": f"{WEB}release: echo no such table; exit 4\n"},
        step="the release command",
        cause=("no such table", "exit code 4"),
    ),
    "syntax error": Fault(
        kind="wsgi",
        changed={"app.py": "def app(environ, start_response:\n"},
        step="starting its processes",
        cause=("def app(environ, start_response:", "SyntaxError: "),
    ),
    "wsgi import": Fault(
        kind="wsgi",
        changed={"app.py": "import no_such_module\n"},
        step="starting its processes",
        cause=("ModuleNotFoundError: No module named 'no_such_module'",),
    ),
    "no such callable": Fault(
        kind="wsgi",
        changed={"Procfile": "wsgi: app:main\n"},
        step="starting its processes",
        cause=("main",),
    ),
    "crash on start": Fault(
        changed={"server.py": 'raise RuntimeError("the sky falls")\n'},
        step="starting its processes",
        cause=("RuntimeError: the sky falls", "web.1 ended with exit code 1 while it was starting"),
    ),
    "no such program": Fault(
        changed={"Procfile": "web: no-such-program --serve\n"},
        step="starting its processes",
        cause=("no-such-program: ", "not found"),
    ),
    "never listens": Fault(
        changed={"server.py": 'print("dreaming", flush=True)\nimport time\ntime.sleep(600)\n'},
        settings="PIKU_DEPLOY_TIMEOUT=10\n",
        step="starting its processes",
        cause=("dreaming", "did not answer within 10 s", "nothing listens on", "$PORT"),
    ),
    "listens elsewhere": Fault(
        changed={"server.py": SERVER.replace(SERVER.splitlines()[-1] + "\n", LISTENS_ELSEWHERE)},
        settings="PIKU_DEPLOY_TIMEOUT=10\n",
        step="starting its processes",
        cause=("it listens on 127.0.0.1:", "$PORT"),
    ),
    "unhealthy": Fault(
        changed={"server.py": SERVER.replace("send_response(200)", "send_response(500)")},
        settings="PIKU_DEPLOY_TIMEOUT=10\nPIKU_HEALTHCHECK_PATH=/health\n",
        step="starting its processes",
        cause=("answers /health with 500",),
    ),
    "worker ends": Fault(
        changed={"Procfile": f"{WEB}worker: echo no queue to read; exit 5\n"},
        step="starting its workers",
        cause=("no queue to read", "worker.1 ended with exit code"),
    ),
    "nginx include": Fault(
        changed={"nginx/own.conf": "nonsense on;\n"},
        settings="NGINX_INCLUDE_FILE=nginx/own.conf\n",
        step="its configuration",
        cause=('unknown directive "nonsense" in nginx/own.conf:1',),
    ),
}


# Each lane tries its faults on one app.
LANES = {
    "wsgi": ["pip", "syntax error", "wsgi import", "no such callable"],
    "web-a": [
        "preflight",
        "preflight killed",
        "release command",
        "nginx include",
        "crash on start",
    ],
    "web-b": ["never listens", "listens elsewhere", "worker ends"],
    "web-c": ["unhealthy", "no such program"],
}


@pytest.fixture(scope="module")
def outcomes(server: Sandbox) -> Iterator[dict[str, Future[None]]]:
    """What came of each fault."""
    apps: dict[str, App] = {}

    def run(lane: str, name: str) -> None:
        app = apps.setdefault(lane, apps.get(lane) or new_app(server, lane, lane.partition("-")[0]))
        the_old_one_serves(app, FAULTS[name])

    with side_by_side(
        [
            *(
                (lane, name, partial(run, lane, name))
                for lane, names in LANES.items()
                for name in names
            ),
            ("fixed", "a fixed port", partial(an_old_release_with_a_fixed_port_comes_back, server)),
        ]
    ) as found:
        yield found


def check_failed(app: App, result_text: str, before: str, fault: Fault) -> None:
    """The push told the step, the cause and what still runs, and the branch is put back."""
    live = next(release for release in app.releases() if release["live"])
    assert f" failed at {fault.step}: " in result_text, result_text
    for words in fault.cause:
        assert words in result_text, result_text
    assert f"v{live['number']} ({live['commit'][:8]}) still runs, as before" in result_text, (
        result_text
    )
    assert "The branch was put back" in result_text
    assert "Traceback" not in result_text.replace("Traceback (most recent call last):", "", 1)
    assert "piku itself failed" not in result_text
    assert app.branch() == before == live["commit"]
    newest = app.releases()[0]
    assert newest["outcome"] == "failed"
    assert newest["reason"]
    assert {row["release"] for row in app.ps() if row["state"] == "up"} == {live["number"]}


def the_old_one_serves(app: App, fault: Fault) -> None:
    before, old = app.branch(), app.version
    env = (app.repository / "ENV").read_text()
    with Watch(app, old) as watch:
        try:
            result = app.push({**fault.changed, "ENV": env + fault.settings})
            assert result.returncode == 1, result.stdout
            check_failed(app, said(result), before, fault)
        finally:
            app.forget_last()
        # The next good one works, at once.
        watch.allowed.append(f"v{app.number + 1}")
        app.deploy()
        app.server.wait(lambda: app.version in watch.seen)
    assert [*watch.seen] == watch.allowed


# --- apps of which no two releases can run at once ------------------------------------------------------


def an_old_release_with_a_fixed_port_comes_back(server: Sandbox) -> None:
    app = new_app(server, "fixed", "web", f"PORT={free_ports(1)[0]}\n")
    env = (app.repository / "ENV").read_text()
    for fault in (FAULTS["crash on start"], FAULTS["worker ends"]):
        before, old = app.branch(), app.version
        result = app.push({**fault.changed, "ENV": env + fault.settings})
        assert result.returncode == 1, result.stdout
        assert app.body() == old  # at once: the push waited for it
        check_failed(app, said(result), before, fault)
        app.forget_last()
        app.deploy()


@pytest.mark.parametrize("name", [*FAULTS, "a fixed port"])
def test_the_old_one_serves(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result(timeout=100)
