"""The files from which the emperor starts an activation's processes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from piku import files, procfs, subprocesses
from piku.app import settings
from piku.deploy import app_env, scheduler
from piku.deploy.deployment import Job
from piku.deploy.releases import Activation, Process
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.paths import SEPARATOR, AppPaths
from piku.runtimes import python
from piku.uwsgi import ini
from piku.uwsgi import plugins as plugins_module

_INCLUDE_TIMEOUT = 30.0  # seconds; what it is told to run before it starts runs now as well
_JWSGI = Path("/usr/share/java/uwsgi.jar")


def log_file(app: AppPaths, process: Process) -> Path:
    """The log of one start of a process; `logs/APP/KIND.N.log` links to the live one's. What uWSGI says
    of its cron is for whoever looks for a fault of piku's."""
    if process.schedules:
        return app.activation(process.origin) / "cron.log"
    return app.logs / f"{process.worker}{SEPARATOR}{process.origin}.log"


def write(job: Job, activation: Activation, process: Process) -> None:
    """Write the ini, the variables and the command of one process."""
    place = job.paths.available / f"{process.vassal(job.app.name)}.ini"
    files.write(place, _config(job, activation, process), mode=0o640)
    if process.by_socket and process.kind in ini.MODIFIERS and settings.IDLE.read(job.values):
        files.write(place.with_name(place.name + ini.DEMAND), process.address)


def _config(job: Job, activation: Activation, process: Process) -> str:
    app, worker = job.app, process.worker
    if process.schedules:
        return scheduler.write(job, activation, process, log_file(app, process))
    folder = app.activation(activation.number)
    # By the mark, what a process started and left behind is found when it stops.
    variables = job.variables(process) | {procfs.MARK: str(process.vassal(app.name))}
    exact = {name: value for name, value in variables.items() if ini.envdir_changes(value)}
    app_env.write_folder(
        folder / f"{worker}.env", {n: v for n, v in variables.items() if n not in exact}
    )
    app_env.make_folders(app)
    log = log_file(app, process)
    vassal = ini.Vassal(
        checkout=str(job.checkout),
        envdir=str(folder / f"{worker}.env"),
        log=str(log),
        log_backup=str(app.logs / f"{worker}.log.old"),
        log_maxsize=settings.LOG_MAXSIZE.read(job.values),
        stop_timeout=activation.stop_timeout,
        exact=exact,
        include=_include(job, folder, process),
        join=limits.command(app, process, log, what="join", pid="$PPID"),
        tell=limits.command(app, process, log, what="tell", pid="0"),
    )
    if process.kind in ini.MODIFIERS:
        return ini.served(vassal, _served(job, process))
    runner = folder / f"{worker}.sh"
    argv = subprocesses.shell(job.source.procfile.command(process.kind))
    notes = str(app.notes(process.origin, worker))
    join = limits.command(app, process, log, what="join", pid="$$", notes=notes)
    files.write(runner, ini.runner(argv, notes, join))
    return ini.daemon(vassal, str(runner))


def _include(job: Job, folder: Path, process: Process) -> str:
    """A copy of the app's own options, which uWSGI has read without complaint.

    They may be for the language that uWSGI serves, and then are nothing for the app's other processes.
    """
    wanted = settings.UWSGI_INCLUDE.read(job.values)
    if not wanted:
        return ""
    checkout = job.checkout.resolve()
    file = (checkout / wanted).resolve()
    if not file.is_relative_to(checkout) or not file.is_file():
        raise PikuError(f"UWSGI_INCLUDE_FILE={wanted}: there is no such file in this commit")
    plugins = _plugins(job, process.kind)
    copy = folder / f"{'-'.join(['uwsgi-include', *plugins])}.ini"
    if not copy.exists():
        files.write(copy, files.read(file), mode=0o600)
        if complaint := _complaint(copy, plugins, checkout, wanted):
            if plugins or job.plan.serving not in ini.MODIFIERS:
                raise PikuError(f"uWSGI refuses UWSGI_INCLUDE_FILE={wanted}", detail=complaint)
            files.write(copy, "", mode=0o600)
    return str(copy)


def _plugins(job: Job, kind: str) -> list[str]:
    """The plugins of uWSGI with which it serves a kind of process, none for one that it only watches."""
    if kind not in ini.MODIFIERS:
        return []
    shared = _shared_worker(job) if kind == "wsgi" else ()
    return [value for name, value in (*_language(job, kind), *shared) if name == "plugins"]


def _complaint(copy: Path, plugins: Sequence[str], folder: Path, known_as: str) -> tuple[str, ...]:
    """What uWSGI has against options, in the words of whoever wrote them."""
    if not re.search(r"^\s*\[uwsgi\]", files.read(copy), re.MULTILINE):
        return ("the file has no line [uwsgi]: nothing of it would count",)
    loaded = (f"--plugins={name}" for name in plugins)
    try:
        said = subprocesses.run(
            ["uwsgi", "--strict", *loaded, "--no-server", "--ini", str(copy)],
            cwd=folder, merged=True, timeout=_INCLUDE_TIMEOUT,
        )  # fmt: skip
    except subprocesses.ProgramFailed as error:
        return tuple(error.output.replace(str(copy), known_as).splitlines()[-3:])
    return tuple(line for line in said.splitlines() if "UNABLE to load uWSGI plugin" in line)


def _served(job: Job, process: Process) -> ini.Served:
    values = job.values
    bind = f"{settings.BIND_ADDRESS.read(values)}:{process.port}"
    shared = _shared_worker(job) if process.kind == "wsgi" else ()
    threads = 0 if shared else _threads(job, process.kind)
    several = plugins_module.threaded() if process.kind == "wsgi" and threads > 1 else ()
    return ini.Served(
        language=(*_language(job, process.kind), *shared, *several),
        address=bind if process.port else process.address,
        modifier=ini.MODIFIERS[process.kind],
        processes=settings.PROCESSES.read(values),
        threads=threads,
        listen=_listen(job),
        max_requests=settings.MAX_REQUESTS.read(values),
        enable_threads=settings.ENABLE_THREADS.read(values),
        log_forwarded_for=settings.LOG_X_FORWARDED_FOR.read(values),
        idle=settings.IDLE.read(values) if process.by_socket else 0,
    )


def _language(job: Job, kind: str) -> ini.Pairs:
    command = job.source.procfile.command(kind)
    app_env = str(job.context.environment) if job.source.environment else ""
    if kind == "wsgi":
        return plugins_module.python(
            python.wsgi_plugin(job.values, job.context.environment), command, app_env
        )
    if kind == "rwsgi":
        _require("rack", "uwsgi-plugin-rack-ruby3.1")
        return plugins_module.rack(command, bundled="Gemfile" in job.source.tree.files)
    if kind == "jwsgi":
        _require("jwsgi", "uwsgi-plugin-jwsgi-openjdk-17")
        return plugins_module.java(command, _classpath(job))
    _require("php", "uwsgi-plugin-php")
    folder = (job.checkout / command).resolve()
    if not folder.is_dir():
        raise PikuError(f"php: there is no folder {command!r} in this commit")
    top = folder == job.checkout.resolve()
    return plugins_module.php(
        str(folder),
        safe=str(job.app.data.resolve()),
        hidden=("/ENV", "/Procfile") if top else (),
        allow_git=settings.ALLOW_GIT.read(job.values),
    )


def _threads(job: Job, kind: str) -> int:
    """Threads of a uWSGI process. Two requests at once in one Ruby or PHP would crash it."""
    if kind not in ("rwsgi", "php"):
        return settings.THREADS.read(job.values)
    if settings.THREADS.name in job.values and settings.THREADS.read(job.values) > 1:
        raise PikuError(
            f"UWSGI_THREADS: uWSGI cannot run {'Ruby' if kind == 'rwsgi' else 'PHP'} in threads",
            hint=f"unset it, and set UWSGI_PROCESSES={settings.THREADS.read(job.values)} instead",
        )
    return 0


def _classpath(job: Job) -> list[str]:
    """What a Maven or Gradle build makes, and the classes of uWSGI itself."""
    found = [path for pattern in ("target/*.jar", "target/dependency/*.jar", "build/libs/*.jar")
             for path in sorted(job.checkout.glob(pattern))]  # fmt: skip
    classes = [path for path in (job.checkout / "target/classes", job.checkout / "build/classes/java/main")
               if path.is_dir()]  # fmt: skip
    return [str(path) for path in (*classes, *found, _JWSGI)]


def _shared_worker(job: Job) -> ini.Pairs:
    """The options of UWSGI_GEVENT or UWSGI_ASYNCIO, which replace threads; none when neither is set."""
    greenlets, tasks = settings.GEVENT.read(job.values), settings.ASYNCIO.read(job.values)
    if greenlets and tasks:
        raise PikuError(
            "UWSGI_GEVENT and UWSGI_ASYNCIO exclude each other", hint="unset one of them"
        )
    if not greenlets and not tasks:
        return ()
    plugin = python.wsgi_plugin(job.values, job.context.environment)
    setting, kind, library = (
        ("UWSGI_GEVENT", "gevent", "gevent")
        if greenlets
        else ("UWSGI_ASYNCIO", "asyncio", "greenlet")
    )
    if not list(job.context.environment.glob(f"lib/python3*/site-packages/{library}/__init__.py")):
        raise PikuError(
            f"{setting}: the app does not have {library}", hint=f"add {library} to its requirements"
        )
    _require(f"{kind}_{plugin}", f"uwsgi-plugin-{kind}-python3")
    if greenlets:
        return plugins_module.gevent(f"gevent_{plugin}", greenlets)
    _require(f"greenlet_{plugin}", "uwsgi-plugin-greenlet-python3")
    return plugins_module.asyncio(f"greenlet_{plugin},asyncio_{plugin}", tasks)


def _require(plugin: str, package: str) -> None:
    if not (python.PLUGINS / f"{plugin}_plugin.so").exists():
        raise PikuError(
            f"uWSGI on this server lacks its plugin {plugin!r}",
            hint=f"install it with: apt-get install {package}",
        )


def _listen(job: Job) -> int:
    wanted = settings.LISTEN.read(job.values)
    allowed = int(files.read(Path("/proc/sys/net/core/somaxconn")) or 128)
    if wanted > allowed and settings.LISTEN.name in job.values:
        job.output.warn(f"UWSGI_LISTEN={wanted} is more than the kernel allows: using {allowed}")
    return min(wanted, allowed)
