"""What piku runs for an app outside its walls obeys nothing of the app's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from piku import procfs
from piku.deploy import build, checkout
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.sandbox import walls
from piku.extras.versions import fetch
from piku.paths import AppPaths, Paths
from piku.runtimes import base
from tests.e2e.conftest import NewApp
from tests.extras.sandbox import support
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GCONV_PATH", "/home/piku/.piku/data/shop"),
        ("GLIBC_TUNABLES", "glibc.malloc.mxfast=0"),
        ("LANGUAGE", "../../../home/piku/.piku/data/shop"),
        ("LOCPATH", "/home/piku/.piku/data/shop"),
        ("SHELLOPTS", "xtrace"),
    ],
)
def test_what_every_program_obeys(
    shop: AppPaths, deployment: Deploy, name: str, value: str
) -> None:
    made = deployment(shop, WORKER, LANGUAGE="de:en")
    walls.argv(shop, made.release, made.values, ["true"])
    with pytest.raises(PikuError, match=f"{name} cannot be set with PIKU_SANDBOX=true"):
        walls.argv(shop, made.release, {name: value}, ["true"])


# What piku, uWSGI and their scripts call.
CALLED = (
    "bash", "bwrap", "cat", "date", "env", "flock", "git", "ionice", "mv", "nice", "perl", "prlimit",
    "setpriv", "sh", "stat", "tail", "uwsgi",
)  # fmt: skip
# It leaves a sign where no app can write, when it runs outside, and becomes what it is named after.
EVIL = """\
#!/usr/bin/python3 -IS
import os, sys
name = os.path.basename(sys.argv[0])
try:
    open("{root}/escaped-" + name, "w").close()
except OSError:
    pass
os.environ["PATH"] = "/usr/bin:/bin:/usr/sbin"
os.execvp(name, sys.argv)
"""


def test_programs_and_variables_of_an_app(server: Sandbox, new_app: NewApp) -> None:
    """A release puts programs before the system's, and its variables have Perl, bash and Python run
    what it says: none of it runs outside, whatever piku runs for the app."""
    own = f"{server.root}/data/evil"
    env = f"PERL5OPT=-Mevil\nPERL5LIB={own}\nBASH_ENV={own}/evil.sh\nPYTHONPATH={own}\n"
    mark = f"{server.root}/escaped-variable"
    plant = (
        f"for name in {' '.join(CALLED)}; do install evil $VIRTUAL_ENV/bin/$name; done;"
        f" cp evil.pm evil.sh sitecustomize.py {own}"
    )
    files = {
        "Procfile": f"release: {plant}\nworker: exec sleep 1000\ncron-job: 0 0 1 1 * echo done\n",
        "requirements.txt": "# none\n",
        "evil": EVIL.format(root=server.root),
        "evil.pm": f"open(F, '>', '{mark}'); 1;\n",
        "evil.sh": f"{{ : >{mark}; }} 2>/dev/null\n",
        "sitecustomize.py": f"try:\n    open('{mark}', 'w')\nexcept OSError:\n    pass\n",
        "ENV": f"PIKU_MEMORY_LIMIT=512M\n{env}",
    }
    app = new_app("evil", files, push=False)
    app = support.walled(app)
    app.does("restart")
    assert app.does("run", "echo inside") == "inside\n"
    server.piku("run", "--detach", app.name, "echo detached > $DATA_ROOT/detached")
    server.wait((app.data / "detached").exists)
    assert "done" in app.does("cron:run", "job")
    app.commit(version_txt="two")
    app.deployed()
    app.does("stop")
    assert [path.name for path in server.root.glob("escaped-*")] == []
