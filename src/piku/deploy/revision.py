"""What a commit says: its Procfile, settings and runtime, the environment that it needs, and the
variables that its processes see."""

import hashlib
import posixpath
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import getuid

from piku import dotenv, runtimes, subprocesses
from piku.app import procfile, settings, tree
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.deploy.releases import Process, Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context, Runtime


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A commit, read, with the app's settings at that time; `environment` names a folder in
    `envs/APP`."""

    procfile: Procfile
    runtime: Runtime
    environment: str
    context: Context  # what the runtime may look at

    @property
    def values(self) -> Mapping[str, str]:
        """The settings, all layers together."""
        return self.context.settings

    @property
    def tree(self) -> Tree:
        return self.context.tree


def layered(paths: Paths, own: Mapping[str, str], repository: Tree = tree.EMPTY) -> dict[str, str]:
    """The settings of an app: the server's ENV, those of the repository from its top to the app's
    folder, then those of config:set.

    Lower layers are expanded into the repository's lines; what config:set keeps is literal.
    """
    lower = dotenv.load(paths.server_env, {})
    for path in reversed(repository.above("ENV")):
        source = posixpath.normpath(posixpath.join(repository.folder, path))
        found = dotenv.parse(repository.read(path), source, lower)
        settings.refuse_in_repository(found)
        lower |= found
    values = {**lower, **own}
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
    top = tree.of_commit(app.repo, commit)
    values = layered(paths, own, top)
    listing = top.seen_from(settings.APP_DIR.read(values))
    if listing.folder:
        values = layered(paths, own, listing)
    processes = procfile.parse(_procfile(app, listing, values))
    context = Context(
        tree=listing,
        settings=values,
        checkout=app.code(checkout) / listing.folder,
        environment=app.envs,
        cache=app.cache,
    )
    runtime = runtimes.select(listing, processes, subprocesses.app_path(paths.home))
    for choose in hooks("version"):
        runtime = choose(runtime, context)
    if environment is None:
        environment = ""
        if runtime.key is not None:
            text = f"{runtime.name}\n{runtime.key(context)}".encode(errors="surrogateescape")
            environment = f"{runtime.name}-{hashlib.sha256(text).hexdigest()[:16]}"
    return Revision(
        procfile=processes,
        runtime=runtime,
        environment=environment,
        context=replace(context, environment=app.envs / environment),
    )


def _procfile(app: AppPaths, listing: Tree, values: Mapping[str, str]) -> str:
    """The text of the Procfile, or what an extra makes of a commit without one."""
    if "Procfile" in listing.files:
        return listing.read("Procfile")
    for hook in hooks("procfile"):
        if text := hook(app, listing, values):
            return str(text)
    raise PikuError(
        f"there is no Procfile in {listing.folder or 'the top folder'} of this commit",
        hint="add one with a line such as 'web: python3 server.py', and commit it",
    )


def initial(app: AppPaths, found: Revision) -> dict[str, str]:
    """What extras find in a commit to be kept with config:set's, unless it is set already."""
    wanted = (hook(app, found.tree, found.values) for hook in hooks("initial"))
    return {k: v for values in wanted for k, v in values.items() if k not in found.values}


def of_release(paths: Paths, app: AppPaths, release: Release) -> Revision:
    """What a release was made of, with the environment that it was given then."""
    return read(
        paths, app, release.commit, release.settings, checkout=release.checkout,
        environment=release.environment,
    )  # fmt: skip


def confined(
    app: AppPaths, release: Release, found: Revision, argv: Sequence[str], *, once: bool = False
) -> Sequence[str]:
    """The command line of a program of the app's, as extras have it run: `once` for a command,
    which may run where the app's processes do."""
    for one_off in hooks("one_off") if once else ():
        if elsewhere := one_off(app, release, found, argv):
            return list(elsewhere)
    for confine in hooks("confine"):
        argv = confine(app, release, found, argv)
    return argv


def process_variables(
    paths: Paths, app: AppPaths, release: Release, found: Revision, process: Process | None = None
) -> dict[str, str]:
    """The whole environment of a build, a command or a process; nothing of our own leaks in."""
    context = found.context
    folders = found.runtime.path(context) if found.environment else ()
    port = {"PORT": str(process.port)} if process is not None and process.port else {}
    return {
        "LANG": "C.UTF-8",
        **found.runtime.env(context),
        **found.values,
        "BIND_ADDRESS": settings.BIND_ADDRESS.read(found.values),
        **port,
        "APP": app.name,
        "HOME": str(paths.home),
        "USER": pwd.getpwuid(getuid()).pw_name,
        "PATH": ":".join((*map(str, folders), subprocesses.app_path(paths.home))),
        "PWD": str(context.checkout),
        "LOG_ROOT": str(app.logs),
        "DATA_ROOT": str(app.data),
        **({"VIRTUAL_ENV": str(context.environment)} if found.environment else {}),
        "PIKU_RELEASE": str(release.number),
        "PIKU_COMMIT": release.commit,
    }
