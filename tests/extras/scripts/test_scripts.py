"""Scripts that cannot run: named by the push, with commands that fix them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from laptop import run
from sandbox import Sandbox

from piku.deploy.deployment import Deployment
from piku.extras.scripts import scripts
from piku.paths import AppPaths
from tests.e2e.support import SERVER, App
from tests.unit.conftest import commit, deployment, paths, shop

__all__ = ["commit", "deployment", "paths", "shop"]


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("./start.sh --port 1", ["start.sh"]),
        ("A=1 B='2' exec bin/run", ["bin/run"]),
        ("bin/migrate && env X=1 ../shared/seed.sh; gunicorn app", ["bin/migrate", "../shared/seed.sh"]),
        ("bash -e start.sh x", ["start.sh"]),
        ("/bin/sh 'start.sh'", ["start.sh"]),
        ("python3 server.py", []),
        ("cd web && ./start.sh", []),
        ("start.sh", []),
        ("exec", []),
        ("sh -c", []),
    ],
)  # fmt: skip
def test_the_files_that_a_line_runs(command: str, files: list[str]) -> None:
    assert [path for path, _ in scripts.called(command)] == files


def fixes(said: list[str]) -> list[str]:
    return [line.partition("fix it: ")[2] for line in said if "fix it: " in line]


def test_the_procfiles_scripts(new_app: Callable[..., App], server: Sandbox) -> None:
    files = {
        "Procfile": "release: sh ./migrate.sh\nweb: ./start.sh\nworker: sh -c 'exec sleep 1000'\n",
        "ENV": "NGINX_SERVER_NAME=scripts.localhost\n",
        "start.sh": "#!/bin/sh\nexec python3 -IS server.py\n",
        "migrate.sh": "#!/bin/sh\r\ntrue\r\n",
        "server.py": SERVER,
    }
    app = new_app("scripts", files, push=False)
    (app.repository / "start.sh").chmod(0o644)
    app.commit("As from Windows")
    said = app.failed()
    assert any(
        "'web' will fail: start.sh is not executable in this commit" in line for line in said
    )
    assert any(
        "'release' will fail: migrate.sh has the line ends of Windows" in line for line in said
    )
    for fix in fixes(said):
        result = run(["sh", "-ec", fix], env=server.git_env(), cwd=app.repository)
        assert result.returncode == 0, result.stderr
    assert not fixes(app.deployed())
    assert app.body() == "one"

    # What the app itself makes executable is its own affair.
    server.git(app.repository, "update-index", "--chmod=-x", "start.sh")
    procfile = files["Procfile"].replace("release: ", "release: chmod +x start.sh && ")
    (app.repository / "start.sh").chmod(0o644)
    app.commit(Procfile=procfile)
    assert not fixes(app.deployed())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sh: 1: ./tools/make.sh: Permission denied", "tools/make.sh is not executable"),
        ("bash: line 1: tools/crlf.sh: cannot execute: required file not found", "tools/crlf.sh has the line ends"),
        ("/bin/sh: 1: tools/crlf.sh: not found", "tools/crlf.sh has the line ends"),
        ("cat: tools/make.sh: No such file or directory", ""),
        ("bash: ./tools/crlf.sh: /bin/sh^M: bad interpreter: No such file or directory",
         "tools/crlf.sh has the line ends"),
        ("sh: 1: cannot create tools/make.sh: Permission denied", ""),
        ("cp: tools/data.json: Permission denied", ""),
        ("PermissionError: [Errno 13] Permission denied: 'tools/make.sh'", ""),
    ],
)  # fmt: skip
def test_the_script_at_which_a_build_failed(
    shop: AppPaths, deployment: Callable[..., Deployment], line: str, reason: str
) -> None:
    files = {
        "Procfile": "worker: x\n",
        "tools/make.sh": "#!/bin/sh\n",
        "tools/crlf.sh": "#!/bin/sh\r\n",
        "tools/data.json": "{}",
    }
    found = scripts.explain(deployment(shop, files), f"npm run prepare\n{line}\n")
    assert (found.message if found else "").startswith(reason)
    assert bool(found) == bool(reason)
