"""What piku runs for an app outside its walls obeys nothing of the app's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from piku import procfs
from piku.deploy import build, checkout
from piku.deploy.deployment import Deployment
from piku.extras.versions import fetch
from piku.paths import AppPaths, Paths
from piku.runtimes import base
from tests.unit.conftest import commit, deployment

__all__ = ["commit", "deployment"]
WORKER = {"Procfile": "worker: sleep 1000\n"}
Deploy = Callable[..., Deployment]


def program(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def test_what_is_fetched_for_all_apps(paths: Paths, shop: AppPaths, deployment: Deploy) -> None:
    """By the server's settings: no program that a build put into its environment, no variable that
    a program obeys, no file beside the code (as uv's own settings)."""
    paths.server_env.write_text("HTTPS_PROXY=http://proxy.example.com\n")
    own, escaped, said = shop.data / "own", paths.root / "escaped", paths.root / "said"
    files = {**WORKER, "requirements.txt": "# none\n"}
    made = deployment(shop, files, PIKU_SANDBOX="true", PYTHONPATH=str(own), GOSUMDB="off")
    program(made.context.environment / "bin" / "python3", f"touch {escaped}")
    own.mkdir(parents=True)
    (own / "sitecustomize.py").write_text(f"open({str(escaped)!r}, 'w')")
    code = f"import json, os; json.dump([os.getcwd(), dict(os.environ)], open({str(said)!r}, 'w'))"
    build._step(made, fetch._Run(argv=("python3", "-c", code), env={"GOTOOLCHAIN": "local"}))
    assert not escaped.exists()
    folder, variables = json.loads(said.read_text())
    assert folder == "/"
    assert variables.pop("PATH") == base.search_path()
    assert variables.keys() - {"LC_CTYPE"} == {
        "GOTOOLCHAIN", "HOME", "HTTPS_PROXY", "LANG", procfs.MARK,
    }  # fmt: skip


def test_git_in_a_submodule_that_a_build_made_its_own(
    paths: Paths, shop: AppPaths, deployment: Deploy
) -> None:
    """Its configuration says what git runs; what the app writes there is found all the same."""
    escaped = paths.root / "escaped"
    files = {**WORKER, "sub": f"submodule:{'1' * 40}"}
    made = deployment(shop, files, PIKU_SANDBOX="true")
    name = made.release.checkout
    sub = shop.code(name) / "sub"

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(sub), *words], check=True, capture_output=True)

    (shop.code(name) / ".gitmodules").touch()
    program(sub / "run", f"touch {escaped}; cat")
    git("init", "--quiet")
    (sub / "file").write_text("x")
    (sub / ".gitattributes").write_text("* filter=own")
    git("add", ".")
    git("-c", "user.name=T", "-c", "user.email=t@t", "commit", "--quiet", "-m", "x")
    for option in ("core.fsmonitor", "filter.own.clean"):
        git("config", option, str(sub / "run"))
    (sub / "file").write_text("y")
    checkout.mark_built(shop, name)
    (sub / "deep").mkdir()
    (sub / "deep" / "upload").write_text("z")
    found = checkout.untracked_files(shop, name)
    assert not escaped.exists()
    assert found == ["sub/deep/upload"]
