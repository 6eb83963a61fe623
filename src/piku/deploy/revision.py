"""What a commit says: its Procfile, settings and runtime, and the environment that it needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from piku import files, runtimes, subprocesses
from piku.app import procfile, settings, tree, variables
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context, Runtime


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A commit, read, with the app's settings at that time; `environment` names a folder in
    `envs/APP`."""

    commit: str
    tree: Tree
    procfile: Procfile
    values: Mapping[str, str]  # all layers of settings together
    runtime: Runtime
    environment: str


def own_settings(app: AppPaths) -> dict[str, str]:
    """What config:set keeps for the app."""
    return variables.parse_literal(files.read(app.settings))


def layered(paths: Paths, repository_text: str, own: Mapping[str, str]) -> dict[str, str]:
    """The settings of an app: the server's ENV, the repository's, then those of config:set.

    Lower layers are expanded into the repository's lines; what config:set keeps is literal.
    """
    server = variables.parse_file(files.read(paths.server_env), {}, source=str(paths.server_env))
    repository = variables.parse_file(repository_text, server)
    settings.refuse_in_repository(repository)
    values = {**server, **repository, **own}
    settings.check_all(values)
    return values


def read(
    paths: Paths, app: AppPaths, commit: str, own: Mapping[str, str], *,
    checkout: str, environment: str | None = None,
) -> Revision:  # fmt: skip
    """Read a commit from the app's repository; raises PikuError for what is wrong in it.

    `checkout` names the folder that it has, or will have; `environment` the one that was built
    for it already: without, its name is worked out from everything that goes into it.
    """
    listing = tree.of_commit(app.repo, commit)
    if "Procfile" not in listing.files:
        raise PikuError(
            "there is no Procfile in the top folder of this commit",
            hint="add one with a line such as 'web: python3 server.py', and commit it",
        )
    processes = procfile.parse(listing.read("Procfile"))
    values = layered(paths, listing.read("ENV"), own)
    runtime = runtimes.select(listing, processes, subprocesses.app_path(paths.home))
    if environment is None:
        environment = ""
        if runtime.key is not None:
            key = runtime.key(context(app, listing, values, checkout, ""))
            digest = hashlib.sha256(f"{runtime.name}\n{key}".encode(errors="surrogateescape"))
            environment = f"{runtime.name}-{digest.hexdigest()[:16]}"
    return Revision(
        commit=commit, tree=listing, procfile=processes, values=values, runtime=runtime,
        environment=environment,
    )  # fmt: skip


def of_release(paths: Paths, app: AppPaths, release: Release) -> Revision:
    """What a release was made of, with the environment that it was given then."""
    return read(
        paths, app, release.commit, release.settings, checkout=release.checkout,
        environment=release.environment,
    )  # fmt: skip


def context(
    app: AppPaths, listing: Tree, values: Mapping[str, str], checkout: str, environment: str
) -> Context:
    """What the runtime may look at."""
    return Context(
        tree=listing, settings=values, checkout=app.releases / checkout,
        environment=app.envs / environment, cache=app.cache,
    )  # fmt: skip
