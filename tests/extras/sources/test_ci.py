"""The jobs that docs/howto/ci.md shows, run as a CI service would, against a server of this test.

Only what such a service does itself is imitated: the checkout, its variables, and secrets.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sandbox import Completed, Sandbox

from tests.e2e.support import CHECKOUT, App

PAGE = (CHECKOUT / "docs" / "howto" / "ci.md").read_text()


def jobs() -> list[dict[str, Any]]:
    """The files of the page."""
    texts = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    # PyYAML is a package of the distribution, for its own Python. To YAML 1.1, "on" is true.
    read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
    ran = (
        subprocess.run(["/usr/bin/python3", "-c", read], input=text, capture_output=True, text=True, check=True)
        for text in texts
    )  # fmt: skip
    return [json.loads(one.stdout) for one in ran]


GITHUB, GITLAB, ARCHIVE = jobs()


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs the steps of jobs in clones of the app's repository."""

    app: App
    folder: Path
    secrets: Mapping[str, str]

    def run(self, script: str, env: Mapping[str, object], shell: list[str]) -> Completed:
        """One script, with nothing of this machine's own in its environment."""
        variables = {name: self._filled(str(value)) for name, value in env.items()}
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return subprocess.run(
            [*shell, script], env={**clean, **variables}, cwd=self.folder / "work",
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _filled(self, text: str) -> str:
        """A variable's text, for the server and the app of the test."""
        server = self.app.server
        found = re.fullmatch(r"\$\{\{ secrets\.(\w+) \}\}", text)
        given = {
            "ssh://piku@server.example.com": f"ssh://{server.address}:{server.ssh_port}",
            "shop": self.app.name,
        }
        return self.secrets[found[1]] if found else given.get(text, text)

    def checkout(self) -> None:
        """The last commit alone, and no branch, as the services do by default."""
        clone = ["clone", "--quiet", "--depth", "1", f"file://{self.app.repository}"]
        subprocess.run(["rm", "-rf", str(self.folder / "work")], check=True)
        self.app.server.git(self.folder, *clone, str(self.folder / "work"))
        self.app.server.git(self.folder / "work", "checkout", "--quiet", "--detach")

    def github(self, workflow: Mapping[str, Any]) -> Completed:
        """The steps of the workflow's job, until one fails; the last one run."""
        job = workflow["jobs"]["deploy"]
        done: Completed | None = None
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        for step in job["steps"]:
            if uses := step.get("uses"):
                assert uses == "actions/checkout@v4" and "with" not in step
                self.checkout()
                continue
            env = {"RUNNER_TEMP": temporary, **job["env"], **step.get("env", {})}
            # As its documentation says of `run` on Linux.
            done = self.run(step["run"], env, ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"])  # fmt: skip
            if done.returncode:
                break
        assert done is not None
        return done

    def gitlab(self, pipeline: Mapping[str, Any]) -> Completed:
        """The lines of the job's script, until one fails."""
        job = pipeline["deploy"]
        self.checkout()
        env = {"CI_PROJECT_DIR": self.folder / "work", **self.secrets, **job["variables"]}
        return self.run("\n".join(job["script"]), env, ["bash", "-e", "-o", "pipefail", "-c"])


@pytest.fixture
def runner(server: Sandbox, new_app: Callable[..., App], tmp_path: Path) -> Callable[[str], Runner]:
    """A runner for an app that is not on the server yet."""

    def make(name: str) -> Runner:
        files = {"Procfile": "static: .\n", "index.html": "one", "ENV": f"NGINX_SERVER_NAME={name}.localhost\n"}  # fmt: skip
        app = new_app(name, files, push=False)
        key = server.keygen(tmp_path / "ci", comment="ci")
        allowed = ["setup:ssh", f"{key}.pub", "--name", "ci"]
        assert server.piku(*allowed).returncode == 0
        scan = ["ssh-keyscan", "-p", str(server.ssh_port), "127.0.0.1"]
        hosts = subprocess.run(scan, capture_output=True, text=True, check=True).stdout
        secrets = {"PIKU_KEY": key.read_text(), "PIKU_KNOWN_HOSTS": hosts}
        return Runner(app=app, folder=tmp_path, secrets=secrets)

    return make


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_job_that_pushes(runner: Callable[[str], Runner], service: str) -> None:
    ci = runner(service)
    app = ci.app

    def runs() -> Completed:
        return ci.github(GITHUB) if service == "github" else ci.gitlab(GITLAB)

    done = runs()
    assert done.returncode == 0 and "v1 is live" in done.stderr, done.stdout + done.stderr
    assert app.body() == "one"
    app.commit(index_html="two")
    assert runs().returncode == 0
    assert app.body() == "two"
    app.commit(Procfile="static: nothing\n")
    done = runs()
    assert done.returncode != 0 and "v3 failed" in done.stderr
    assert app.body() == "two"
    assert ci.secrets["PIKU_KEY"] not in done.stdout + done.stderr
    if service == "github":
        # The server has no whole history: an archive goes on from there, and so does another app.
        app.commit(index_html="three")
        done = ci.github(ARCHIVE)  # which has no ENV
        assert done.returncode != 0 and "would be off the air" in done.stdout + done.stderr
        app.does("config:set", f"NGINX_SERVER_NAME={app.host}")
        done = ci.github(ARCHIVE)
        assert done.returncode == 0 and "v6 is live" in done.stdout, done.stdout + done.stderr
        url = f"ssh://{app.server.address}:{app.server.ssh_port}/{app.name}"
        key = app.server.piku("deploy-key", "onward").stdout
        assert app.server.piku("setup:ssh", "-", "--name", "onward", input=key).returncode == 0
        done = app.server.piku("deploy", "onward", "--from", url)
        assert done.returncode == 0 and "v1 is live" in done.stdout, done.stdout + done.stderr
        assert "Nothing new" in app.server.piku("pull", "onward").stdout


def test_a_job_that_sends_what_it_built(runner: Callable[[str], Runner]) -> None:
    ci = runner("built")
    app = ci.app
    done = ci.github(ARCHIVE)
    assert done.returncode == 0 and "v1 is live" in done.stdout, done.stdout + done.stderr
    app.does("config:set", "NGINX_SERVER_NAME=built.localhost")  # the archive has no ENV
    assert app.body() == "one"
    app.commit(index_html="two")
    assert ci.github(ARCHIVE).returncode == 0
    assert app.body() == "two"
