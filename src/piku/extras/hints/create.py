"""`piku apps:create`, for those who look for it: a push would make the app as well."""

import os
import pwd
import sys

import click

from piku.cli.common import make, new_app_argument, pass_paths
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command("apps:create")
@new_app_argument
@pass_paths
def create(paths: Paths, app: AppPaths) -> None:
    """Create an app before its first push, which otherwise creates it."""
    if app.repo.is_dir():
        raise PikuError(f"there is an app {app.name!r} already")
    make(paths, app, asked=True)
    output = Output(sys.stdout)
    output.step(f"{app.name} waits for its first push:")
    output.detail(f"git remote add piku {pwd.getpwuid(os.getuid()).pw_name}@SERVER:{app.name}")
    output.detail("git push piku main")
