"""Putting what an app runs behind its walls."""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from piku import files, locks, procfs, subprocesses
from piku.app import settings
from piku.app.procfile import UWSGI_SERVED
from piku.deploy import revision
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.sandbox import trial, walls
from piku.extras.sandbox.settings import PATHS, SANDBOX
from piku.paths import SEPARATOR, TEMPLATES, AppName, AppPaths, Paths
from piku.runtimes.base import Run, search_path
from piku.subprocesses import ProgramFailed

# What nginx, which is outside, does for an app with files that the app or its build can replace.
_OUTSIDE = {
    "NGINX_INCLUDE_FILE": "nginx would show whatever file it names",
    "NGINX_CACHE_PREFIXES": "nginx would keep answers wherever a link leads",
}


def check(deployment: Deployment) -> Sequence[str]:
    """Refuse walls that this server cannot build."""
    app, values = deployment.app, deployment.values
    if not SANDBOX.read(values):
        return ()
    for name, why in _OUTSIDE.items():
        if values.get(name):
            raise PikuError(
                f"{name} cannot be used with PIKU_SANDBOX=true: {why}",
                hint=f"piku config:set {app.name} {name}=\nor, without walls: PIKU_SANDBOX=false",
            )
    if values.get(settings.UWSGI_INCLUDE.name) and deployment.plan.serving not in UWSGI_SERVED:
        raise PikuError(
            "UWSGI_INCLUDE_FILE cannot be used with PIKU_SANDBOX=true: uWSGI serves nothing here",
            hint="the uWSGI that watches a program is outside the walls",
        )
    for hidden in (app.root, Path.home()):
        for path in map(Path, PATHS.read(values)):
            if path.resolve().is_relative_to(hidden) or hidden.is_relative_to(path.resolve()):
                raise PikuError(f"PIKU_SANDBOX_PATHS={path}: the files of all apps are there")
    walls.make_folders(app)
    trial.require(walls.argv(app, deployment.release, values, ["true"]))
    return ()


def confine(app: AppPaths, release: Release, found: Revision, argv: Sequence[str]) -> Sequence[str]:
    """A program of the app's, inside."""
    if not SANDBOX.read(found.values):
        return argv
    walls.make_folders(app)
    return walls.argv(app, release, found.values, argv)


@contextmanager
def around(
    deployment: Deployment, step: Run, how: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """A step of a build, inside; but one that gets what all apps use outside, by the server's
    settings alone, for all apps run what comes."""
    app, release = deployment.app, deployment.release
    if step.shared:
        env = {**revision.layered(deployment.paths, {}), "LANG": "C.UTF-8", "PATH": search_path()}
        own = {name: how["env"][name] for name in ("HOME", procfs.MARK)}
        yield {**how, "env": {**env, **own, **step.env}}
        return
    if not SANDBOX.read(deployment.values):
        yield how
        return
    walls.make_folders(app)
    with new_environment(app, release) as mount:
        argv = walls.argv(app, release, deployment.values, how["argv"], building=True, own=mount)
        try:
            yield {**how, "argv": argv}
        except ProgramFailed:
            raise
        except PikuError as error:  # it took too long: the name is that of what was run
            name = Path(argv[0]).name
            said = error.message.replace(f"{name} ", f"{Path(step.argv[0]).name} ", 1)
            raise PikuError(said) from None


@contextmanager
def new_environment(app: AppPaths, release: Release) -> Iterator[Sequence[str]]:
    """Where a step makes an environment that is not there yet, as arguments of bubblewrap. Some
    tools make nothing in a folder that is there, so what is mounted stands for its parent."""
    place = app.envs / release.environment
    if place.exists():  # or there is none
        yield ()
        return
    parent = place.with_name(f"{place.name}{SEPARATOR}new.building")  # removed as half-built
    files.discard([parent])
    parent.mkdir(mode=0o700)
    try:
        yield ("--bind", str(parent), str(app.envs))
        made = parent / place.name
        if made.is_dir() and not made.is_symlink():  # a link would lead out
            made.rename(place)
    finally:
        files.discard([parent])


# --- what uWSGI serves ---------------------------------------------------------------------------


def starting(paths: Paths) -> None:
    """Write the script that the emperor starts in the place of every uWSGI. Make again what walls
    are made of, and backups leave out."""
    text = (TEMPLATES / "vassal.sh").read_text().replace("@UWSGI@", shlex.quote(_uwsgi()))
    files.write(_script(paths), text, mode=0o700)
    for given in (paths.root / "releases").glob(f"*/starts/*/*.env/{SANDBOX.name}"):
        with suppress(OSError, PikuError, ValueError):  # a damaged file is that app's alone
            _make_again(paths, given)


def _make_again(paths: Paths, given: Path) -> None:
    """The folders and the log of a process with this file of its setting."""
    process, start = given.parent, given.parents[1]
    app = paths.app(AppName(start.parents[1].name))
    if SANDBOX.read({SANDBOX.name: files.read(given).strip()}):
        walls.make_folders(app)
    if process.with_suffix(".launch").exists():
        app.logs.mkdir(parents=True, exist_ok=True)
        (app.logs / f"{process.stem}@{start.name}.log").touch(mode=0o640)


def emperor(paths: Paths) -> Sequence[tuple[str, str]]:
    """The emperor starts uWSGI itself when the script is not there."""
    return (("emperor-wrapper-override", str(_script(paths))),)


def _uwsgi() -> str:
    return subprocesses.which("uwsgi") or "uwsgi"


def _script(paths: Paths) -> Path:
    return paths.uwsgi / "vassal.sh"


def uwsgi(deployment: Deployment, process: Process) -> Sequence[tuple[str, str]]:
    """Write how the emperor is to start a process that uWSGI serves; returns its options."""
    app, values = deployment.app, deployment.values
    if process.kind not in UWSGI_SERVED or not SANDBOX.read(values):
        return ()
    walls.make_folders(app)
    start, log = app.start(process.start), process.log(app)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o640)
    name = f"{process.vassal(app.name)}.ini"
    paths = deployment.paths
    own = ["--ro-bind", str(start), str(start), "--bind", str(log), str(log)]
    own += ["--ro-bind", str(paths.available / name), str(paths.enabled / name)]
    if process.by_socket and not settings.IDLE.read(values):
        # The socket is made in a folder of its own in the place of nginx's, with a link to it.
        sockets = start / f"{process.worker}.sockets"
        sockets.mkdir(parents=True, mode=0o700, exist_ok=True)
        own += ["--bind", str(sockets), str(paths.nginx)]
        place = Path(process.address)
        files.link(sockets / place.name, place)
    argv: Sequence[str] = walls.argv(app, deployment.release, values, [_uwsgi()], own=own)
    for wrap in hooks("wrap"):
        argv = wrap(deployment, process, argv)
    # In the log, too, what keeps uWSGI from starting.
    line = f'exec {shlex.join(argv)} "$@" 2>>{shlex.quote(str(log))}\n'
    files.write(start / f"{process.worker}.launch", line)
    # It must not start without its walls. Its log is one file in there, which it cannot rename.
    return (("hook-asap", f"cd:{walls.SIGN}"), ("log-maxsize", "0"))


def periodic(paths: Paths) -> None:
    """Rename the logs of what runs inside, as uWSGI would: what it writes meanwhile is lost. Remove
    what apps left in their /tmp."""
    for folder in walls.temporary_folders(paths):
        old = ("-mindepth", "1", "-mtime", "+10", "-delete")  # days
        subprocesses.run(["find", str(folder), *old], check=False)
    with locks.lock(paths.uwsgi / "sandbox.lock", "rotating logs", patient=False):
        _rotate(paths)


def _rotate(paths: Paths) -> None:
    for launch in (paths.root / "releases").glob("*/starts/*/*.launch"):
        start = launch.parent
        log = paths.root / "logs" / start.parents[1].name / f"{launch.stem}@{start.name}.log"
        given = files.read(launch.with_suffix(".env") / settings.LOG_MAXSIZE.name).strip()
        most = settings.LOG_MAXSIZE.read({settings.LOG_MAXSIZE.name: given} if given else {})
        if log.is_file() and log.stat().st_size >= most:
            copied = log.with_name(f"{log.name}.old")
            try:
                shutil.copy(log, copied)
            except OSError:
                files.discard([copied])  # a full disk needs the space more than a copy
            os.truncate(log, 0)


def destroyed(_paths: Paths, app: AppPaths) -> None:
    """Remove what can be made again. What it kept in its home stays, as its data does."""
    walls.remove_folders(app)
