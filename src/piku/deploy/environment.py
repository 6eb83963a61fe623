"""The variables that a process of an app sees: one function for build, release, run and workers."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from os import getuid
from pathlib import Path

from piku import effects
from piku.app import settings
from piku.deploy.records import Process, Release
from piku.paths import AppPaths, Paths


def layered(paths: Paths, repository_text: str, own: Mapping[str, str]) -> dict[str, str]:
    """The settings of an app: the server's ENV, the repository's, then those of config:set.

    Lower layers are expanded into the repository's lines; what config:set keeps is literal.
    """
    server = settings.parse_file(effects.read(paths.server_env), {}, source=str(paths.server_env))
    repository = settings.parse_file(repository_text, server)
    settings.refuse_unrepeatable(repository)
    values = {**server, **repository, **own}
    settings.check_all(values)
    return values


def variables(
    paths: Paths,
    app: AppPaths,
    release: Release,
    values: Mapping[str, str],
    defaults: Mapping[str, str],
    process: Process | None = None,
) -> dict[str, str]:
    """The whole environment of a process; nothing of our own leaks in."""
    checkout = app.releases / release.checkout
    environment = app.envs / release.environment if release.environment else None
    path = effects.SYSTEM_PATH if environment is None else f"{environment}/bin:{effects.SYSTEM_PATH}"
    listens = {"BIND_ADDRESS": settings.BIND_ADDRESS.read(values)}
    if process is not None and process.port:
        listens["PORT"] = str(process.port)
    return {
        "LANG": "C.UTF-8",
        **defaults,
        **values,
        **listens,
        "APP": app.name,
        "HOME": str(paths.home),
        "USER": pwd.getpwuid(getuid()).pw_name,
        "PATH": path,
        "PWD": str(checkout),
        "LOG_ROOT": str(app.logs),
        "DATA_ROOT": str(app.data),
        **({"VIRTUAL_ENV": str(environment)} if environment else {}),
        "PIKU_RELEASE": str(release.number),
        "PIKU_COMMIT": release.commit,
    }


def write_folder(folder: Path, variables: Mapping[str, str]) -> None:
    """The variables as uWSGI's envdir reads them: a file each, with exactly the value.

    An ini file would expand parts of some values; these are secrets as well, hence the modes.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name, value in variables.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value, errors="surrogateescape")
