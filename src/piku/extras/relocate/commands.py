"""Commands that give an app another name or another place."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence

import click

from piku import subprocesses
from piku.cli.common import app_argument, new_app_argument, pass_paths, self_argv
from piku.deploy import releases
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.relocate import rename
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths


def _new_name(paths: Paths, text: str) -> AppPaths:
    app = paths.app(AppName.parse(text))
    if app.repo.is_dir():
        raise PikuError(f"there is already an app called {app.name!r}")
    return app


def _piku(*words: str) -> list[str]:
    return [*self_argv(), *words]


def _succeeds(*words: str) -> bool:
    done = subprocess.run(_piku(*words), env=subprocesses.environment(), check=False)
    return not done.returncode


def _passed_on(backup: Sequence[str], restore: Sequence[str]) -> bool:
    """Run the second with what the first writes; whether both went well. What they say is shown."""
    variables = subprocesses.environment()
    with subprocess.Popen(backup, stdout=subprocess.PIPE, env=variables) as source:
        done = subprocess.run(restore, stdin=source.stdout, env=variables, check=False)
        assert source.stdout
        source.stdout.close()
    return not source.returncode and not done.returncode


@click.command("apps:clone")
@app_argument
@click.argument("new", metavar="NEW")
@click.option("--without-data", is_flag=True, help="Neither the data folder nor databases.")
@pass_paths
def apps_clone(paths: Paths, app: AppPaths, new: str, without_data: bool) -> None:
    """Copy an app, with its data, under another name; the copy has no host name."""
    _new_name(paths, new)
    options = ["--without-data"] if without_data else []
    backup, restore = _piku("backup", app.name, *options), _piku("restore", "-", "--as", new)
    if not _passed_on(backup, restore):
        raise PikuError(f"{app.name} was not copied: there is no {new}")


@click.command("apps:rename")
@new_app_argument
@click.argument("new", metavar="NEW")
@pass_paths
def apps_rename(paths: Paths, app: AppPaths, new: str) -> None:
    """Give an app another name; it stops, and is deployed again."""
    output = Output(sys.stdout)
    begun = time.monotonic()
    rename.begin(paths, app, paths.app(AppName.parse(new)), output)
    output.step(f"{app.name} is {new} now, after {time.monotonic() - begun:.1f} s")
    output.detail(f"In each clone: git remote set-url piku piku@SERVER:{new}")


@click.command("apps:move")
@app_argument
@click.argument("server", metavar="USER@SERVER")
def apps_move(app: AppPaths, server: str) -> None:
    """Move an app to another server with piku; here it stays, stopped.

    The piku user of this server must be able to log in there: give its key to `setup:ssh`.
    """
    if not re.fullmatch(r"(ssh://)?[\w.-]+@[\w.:\[\]-]+", server, re.ASCII):
        hint = "for example piku@example.org, or ssh://piku@example.org:2222"
        raise PikuError(f"{server[:80]!r} is not a server", hint=hint, code=2)
    output = Output(sys.stdout)
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", server]
    if app.name in subprocesses.run([*ssh, "apps", "--plain"]).split():
        raise PikuError(f"there is already an app called {app.name!r} on {server}")
    live = releases.live(app)
    runs = live is not None and not live.stopped
    begun = time.monotonic()
    shared.undo_when_ended()
    try:
        if runs and not _succeeds("stop", app.name):  # what it writes from now on would be lost
            raise PikuError(f"{app.name} was not moved: it could not be stopped")
        if not _passed_on(_piku("backup", app.name), [*ssh, "restore", "-"]):
            raise PikuError(f"{app.name} was not moved", hint="it stays here, as it was")
    except BaseException:
        if runs:
            _succeeds("restart", app.name)
        raise
    output.step(f"{app.name} is on {server} now; it was down for {time.monotonic() - begun:.1f} s")
    output.detail("Now point its host names there. Here it is stopped; once you no longer need it:")
    output.detail(f"  piku destroy {app.name}")
