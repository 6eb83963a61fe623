"""What piku runs for an app outside its walls obeys nothing of the app's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from piku import procfs
from piku.deploy import build
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.sandbox import walls
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
