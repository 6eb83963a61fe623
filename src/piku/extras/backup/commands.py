"""The command for backups."""

import os
import sys
import time
from pathlib import Path

import click

from piku import files
from piku.app import checks
from piku.cli.common import optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.backup import archive, contents
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command()
@optional_app_argument
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option("--all", "every", is_flag=True, help="Every app, each into a file on this server.")
@click.option("--without-data", is_flag=True, help="Neither the data folder nor databases.")
@pass_paths
def backup(paths: Paths, app: AppPaths | None, file: str, every: bool, without_data: bool) -> None:
    """Write an app's backup: code, settings, data and databases in one file.

    Without FILE it goes to standard output: `ssh piku@server backup APP > APP.tar.zst`.
    """
    if every != (app is None):
        raise PikuError("name an app, or give --all", hint="piku backup APP FILE", code=2)
    if app is None:
        _every(paths, data=not without_data)
    elif file != "-":
        _to_file(paths, app, Path(file), data=not without_data)
    elif os.isatty(1):
        hint = f"name a file: piku backup {app.name} FILE"
        raise PikuError("a backup is not for a terminal", hint=hint, code=2)
    else:
        with archive.compressed(1) as stream:
            contents.write(paths, app, stream, Output(sys.stderr).detail, data=not without_data)


def _to_file(paths: Paths, app: AppPaths, file: Path, *, data: bool) -> None:
    said = Output(sys.stderr)
    try:
        if file.is_dir():
            raise PikuError(f"{file} is a folder", hint=f"name a file: piku backup {app.name} FILE")
        part = shared.temporary_file(file.parent, file.name)
    except OSError as error:
        raise PikuError(f"{checks.quoted(str(file))}: {error.strerror}") from None
    try:
        with part.open("wb") as out:
            with archive.compressed(out.fileno()) as stream:
                contents.write(paths, app, stream, said.detail, data=data)
            os.fsync(out.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    said.step(f"The backup of {app.name} is in {file}: {file.stat().st_size / 1e6:.1f} MB")


def _every(paths: Paths, *, data: bool) -> None:
    """Back up all apps; one that fails keeps no other from it."""
    failed = []
    ending = f"{time.strftime('%Y%m%d-%H%M%S')}.tar.{'zst' if archive.has_zstd() else 'gz'}"
    for name in paths.app_names():
        folder = paths.root / "backups" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.sweep(folder)
        try:
            _to_file(paths, paths.app(name), folder / f"{name}-{ending}", data=data)
        except (PikuError, OSError) as error:
            failed.append(name)
            Output(sys.stderr).warn(f"{name}: {error}")
    if failed:
        raise PikuError(f"there is no new backup of {', '.join(failed)}")
