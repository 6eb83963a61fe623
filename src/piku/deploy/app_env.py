"""The variables that a process of an app sees: one function for build, release, run and workers."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from os import getuid
from pathlib import Path

from piku import subprocesses
from piku.app import settings
from piku.deploy import revision
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Revision
from piku.paths import AppPaths, Paths


def variables(
    paths: Paths, app: AppPaths, release: Release, found: Revision, process: Process | None = None
) -> dict[str, str]:
    """The whole environment of a build, a command or a process; nothing of our own leaks in."""
    context = revision.context(app, found.tree, found.values, release.checkout, release.environment)
    folders = found.runtime.path(context) if release.environment else ()
    listens = {"BIND_ADDRESS": settings.BIND_ADDRESS.read(found.values)}
    if process is not None and process.port:
        listens["PORT"] = str(process.port)
    return {
        "LANG": "C.UTF-8",
        **found.runtime.env(context),
        **found.values,
        **listens,
        "APP": app.name,
        "HOME": str(paths.home),
        "USER": pwd.getpwuid(getuid()).pw_name,
        "PATH": ":".join((*map(str, folders), subprocesses.app_path(paths.home))),
        "PWD": str(context.checkout),
        "LOG_ROOT": str(app.logs),
        "DATA_ROOT": str(app.data),
        **({"VIRTUAL_ENV": str(context.environment)} if release.environment else {}),
        "PIKU_RELEASE": str(release.number),
        "PIKU_COMMIT": release.commit,
    }


def make_folders(app: AppPaths) -> None:
    """Make the folders that LOG_ROOT and DATA_ROOT name, unless they are there."""
    for folder in (app.logs, app.data):
        folder.mkdir(parents=True, exist_ok=True)


def write_folder(folder: Path, variables: Mapping[str, str]) -> None:
    """The variables as uWSGI's envdir reads them: a file each, with exactly the value.

    An ini file would expand parts of some values; these are secrets as well, hence the modes.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name, value in variables.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value, errors="surrogateescape")
