"""The files from which the emperor starts an app's processes."""

from collections.abc import Mapping
from pathlib import Path

from piku import files, procfs, subprocesses
from piku.app import settings
from piku.deploy import revision, scheduler
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.uwsgi import ini, plugins


def write(deployment: Deployment, process: Process) -> None:
    """Write the ini, the variables and the command of one process."""
    place = deployment.paths.available / f"{process.vassal(deployment.app.name)}.ini"
    files.write(place, _config(deployment, process), mode=0o640)
    if process.by_socket and settings.IDLE.read(deployment.values):
        files.write(place.with_name(place.name + ini.DEMAND), process.address)


def _config(deployment: Deployment, process: Process) -> str:
    app = deployment.app
    folder = app.start(process.start)
    # By the mark, what a process started and left behind is found when it stops.
    mark = {procfs.MARK: str(process.vassal(app.name))}
    variables = deployment.variables(process) | mark
    envdir, whole = folder / f"{process.worker}.env", folder / f"{process.worker}.blanks"
    # envdir drops the blanks and line ends at the end of a value.
    blanks = {name: value for name, value in variables.items() if value[-1:].isspace()}
    _write_files(envdir, {name: variables[name] for name in variables.keys() - blanks})
    _write_files(whole, blanks)
    options: list[tuple[str, str | Path]] = [("env", whole / name) for name in blanks]
    options += [pair for hook in hooks("uwsgi") for pair in hook(deployment, process)]
    vassal = ini.Vassal(
        values=deployment.values,
        checkout=str(deployment.checkout),
        envdir=str(envdir),
        log=str(process.log(app)),
        options=tuple(options),
        include=include(deployment, process),
    )
    if process.schedules:
        lines = scheduler.write(app, deployment.release, deployment.revision, folder)
        return ini.scheduler(vassal, lines)
    if process.served:
        bind = settings.BIND_ADDRESS.read(deployment.values)
        return ini.served(
            vassal,
            process.kind,
            language(deployment, process.kind),
            address=f"{bind}:{process.port}" if process.port else process.address,
            threads=plugins.threads(deployment.values, process.kind),
            listen=_listen(deployment),
        )
    command = subprocesses.shell(deployment.revision.procfile.command(process.kind))
    argv = revision.confined(app, deployment.release, deployment.revision, command)
    for wrap in hooks("wrap"):
        argv = wrap(deployment, process, argv)
    script = process.script(app)
    files.write(script, ini.runner(argv, process.worker))
    return ini.daemon(vassal, str(script))


def _write_files(folder: Path, variables: Mapping[str, str]) -> None:
    """The variables as uWSGI reads them: a file each, with the value and a line end.

    An ini file would expand parts of some values; these are secrets as well, hence the modes.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name, value in variables.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(f"{value}\n", errors="surrogateescape", newline="")


# --- what uWSGI serves itself --------------------------------------------------------------------


def language(deployment: Deployment, kind: str) -> ini.Pairs:
    context = deployment.context
    return plugins.options(
        context,
        kind,
        deployment.revision.procfile.command(kind),
        virtualenv=str(context.environment) if deployment.release.environment else "",
        data=deployment.app.data,
    )


def _listen(deployment: Deployment) -> int:
    wanted = settings.LISTEN.read(deployment.values)
    allowed = int(files.read(Path("/proc/sys/net/core/somaxconn")) or 128)
    if wanted > allowed and settings.LISTEN.name in deployment.values:
        deployment.output.warn(f"UWSGI_LISTEN={wanted}: the kernel allows no more than {allowed}")
    return min(wanted, allowed)


def include(deployment: Deployment, process: Process) -> str:
    """The file of the app's own options, if any. In an app that uWSGI serves they may be for its
    language, and so mean nothing to its other processes."""
    wanted = settings.UWSGI_INCLUDE.read(deployment.values)
    if not wanted or (deployment.plan.serving in ini.MODIFIERS and not process.served):
        return ""
    file = files.inside(deployment.checkout, wanted)
    if file is None or not file.is_file():
        raise PikuError(f"UWSGI_INCLUDE_FILE={wanted}: there is no such file in this commit")
    return str(file)
