"""What a commit says: its Procfile, settings and runtime, and where its builds stand on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from piku import files as files_module
from piku import runtimes, subprocesses
from piku.app import procfile, settings, tree, variables
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context, Runtime

BUILT = ".built"  # how the name of a note on a checkout ends


@dataclass(frozen=True, kw_only=True)
class Source:
    """A commit, read; `environment` and `checkout` are names of folders of the app's."""

    commit: str
    tree: Tree
    procfile: Procfile
    own: Mapping[str, str]
    values: Mapping[str, str]
    runtime: Runtime
    environment: str
    checkout: str

    def context(self, app: AppPaths) -> Context:
        return _context(app, self.tree, self.values, self.checkout, self.environment)


def own_settings(app: AppPaths) -> dict[str, str]:
    """What config:set keeps for the app."""
    return variables.parse_literal(files_module.read(app.settings))


def layered(paths: Paths, repository_text: str, own: Mapping[str, str]) -> dict[str, str]:
    """The settings of an app: the server's ENV, the repository's, then those of config:set.

    Lower layers are expanded into the repository's lines; what config:set keeps is literal.
    """
    server = variables.parse_file(
        files_module.read(paths.server_env), {}, source=str(paths.server_env)
    )
    repository = variables.parse_file(repository_text, server)
    settings.refuse_unrepeatable(repository)
    values = {**server, **repository, **own}
    settings.check_all(values)
    return values


def read(paths: Paths, app: AppPaths, commit: str, own: Mapping[str, str]) -> Source:
    """Read a commit from the app's repository; raises PikuError for what is wrong in it."""
    files = tree.of_commit(app.repo, commit)
    if "Procfile" not in files.files:
        raise PikuError(
            "there is no Procfile in the top folder of this commit",
            hint="add one with a line such as 'web: python3 server.py', and commit it",
        )
    processes = procfile.parse(files.read("Procfile"))
    values = layered(paths, files.read("ENV"), own)
    runtime = runtimes.select(files, processes, subprocesses.app_path(paths.home))
    context = _context(app, files, values, commit, "")
    name = ""
    if runtime.key is not None:
        digest = hashlib.sha256(
            f"{runtime.name}\n{runtime.key(context)}".encode(errors="surrogateescape")
        )
        name = f"{runtime.name}-{digest.hexdigest()[:16]}"
    return Source(
        commit=commit, tree=files, procfile=processes, own=dict(own), values=values,
        runtime=runtime, environment=name, checkout=_place(app, commit, name),
    )  # fmt: skip


def _context(
    app: AppPaths, files: Tree, values: Mapping[str, str], checkout: str, name: str
) -> Context:
    return Context(
        tree=files, settings=values, checkout=app.releases / checkout,
        environment=app.envs / name, cache=app.cache,
    )  # fmt: skip


def built_marker(app: AppPaths, checkout: str) -> Path:
    """The file that says a checkout was built: with which environment, and what it held then."""
    return app.releases / f"{checkout}{BUILT}"


def _place(app: AppPaths, commit: str, environment: str) -> str:
    # A build may write into its checkout, so one that serves is not built again for new settings.
    second = f"{commit}-{environment}"
    marker = files_module.read_json(built_marker(app, commit))
    taken = marker is not None and marker["environment"] != environment
    # An environment may know by name the checkout it was built for, also when the first one is gone.
    return second if taken or built_marker(app, second).exists() else commit
