"""The platform itself: nginx and the emperor, the units that run them, and what nginx is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import files, subprocesses
from piku.deploy import live_sites
from piku.errors import PikuError
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene, unit_files
from piku.nginx import main_config, service, site_state
from piku.nginx import vhost as nginx_app
from piku.uwsgi import emperor, ini

# What only the one who may bind low ports can find out; whoever asks the doctor mostly may not.
_MAY_NOT_BIND = re.compile(r"bind\(\) to \S+ failed \(13: Permission denied\)")


def platform(scene: Scene) -> Iterator[Finding]:
    """Whether nginx and the emperor run and answer."""
    answers, nginx = scene.states is not None, scene.nginx is not None
    exists = emperor.pid(scene.paths) is not None
    if not (answers or exists or nginx):
        yield problem("piku does not run here: nothing is served", starting(scene))
        return
    if not nginx:
        yield problem("nginx does not run: nobody reaches any app", starting(scene, "piku-nginx"))
    else:
        yield ok(f"nginx runs (process {scene.nginx})")
    if answers:
        yield ok(f"the emperor answers, with {len(scene.states or {})} processes of apps")
    elif exists:
        yield problem(
            "the uWSGI emperor runs, and does not answer",
            starting(scene, "piku-emperor", again=True),
        )
    else:
        yield problem(
            "the uWSGI emperor does not run: no app does", starting(scene, "piku-emperor")
        )


def starting(scene: Scene, unit: str = "", *, again: bool = False) -> str:
    """The command that starts the platform, or one unit of it."""
    if scene.managed:
        wanted = unit or " ".join(name.removesuffix(".service") for name in unit_files(scene.paths))
        return f"sudo systemctl {'restart' if again else 'start'} {wanted}"
    return (
        "stop `piku up` where it runs, and start it again: piku up" if again or unit else "piku up"
    )


# --- systemd -------------------------------------------------------------------------------------


def units(scene: Scene) -> Iterator[Finding]:
    """How systemd sees the units of the package."""
    for unit in unit_files(scene.paths):
        argv = [
            "systemctl",
            "show",
            "-p",
            "ActiveState,SubState,Result,UnitFileState,NRestarts",
            unit,
        ]
        pairs = (line.partition("=") for line in subprocesses.run(argv).splitlines())
        yield from judged_unit(
            unit.removesuffix(".service"), {name: value for name, _, value in pairs}
        )


def judged_unit(unit: str, said: Mapping[str, str]) -> Iterator[Finding]:
    """What `systemctl show` says of one unit."""
    state = said.get("ActiveState", "")
    if state == "failed":
        why = said.get("Result", "unknown")
        yield problem(
            f"{unit} has failed ({why})",
            f"journalctl -u {unit} -n 20, then sudo systemctl start {unit}",
        )
    elif state not in ("active", "reloading", "activating"):
        yield problem(
            f"{unit} is {state or 'not known to systemd'}", f"sudo systemctl start {unit}"
        )
    else:
        yield ok(f"{unit} is {state}")
    if said.get("UnitFileState") == "disabled":
        yield warning(f"{unit} would not start after a reboot", f"sudo systemctl enable {unit}")
    if state == "active" and int(said.get("NRestarts") or 0) > 3:
        yield warning(
            f"{unit} was started again {said['NRestarts']} times", f"journalctl -u {unit} -n 50"
        )


# --- configuration -------------------------------------------------------------------------------


def configuration(scene: Scene) -> Iterator[Finding]:
    """Whether nginx accepts what is installed, and that is what piku wrote."""
    paths = scene.paths
    if not paths.nginx_main.exists():
        return  # the folders are told of
    try:
        service.check_installed(paths)
        yield ok("nginx accepts its configuration")
    except PikuError as error:
        if _MAY_NOT_BIND.search(error.message):
            yield ok(
                "nginx accepts its configuration, as far as one can see who may not use its ports"
            )
        else:
            yield problem(error.message, _mending(scene, error.message))
    yield from _rendered(scene)
    yield from _sites(scene)
    for file in service.foreign(paths):
        yield ok(f"nginx also reads {file}, which piku did not write")


def _mending(scene: Scene, message: str) -> str:
    """What to do about a file that nginx refuses, by whose it is."""
    for file in service.foreign(scene.paths):
        if str(file) in message:
            return f"mv {file} {file}.refused"
    for app in scene.apps:
        if str(app.nginx) in message:
            return f"piku restart {app.name}"
    if str(scene.paths.nginx_main) in message:
        return "piku setup"
    return "mend what it names"


def _rendered(scene: Scene) -> Iterator[Finding]:
    """The two files of the server that `setup` writes."""
    paths = scene.paths
    wanted = {
        paths.nginx_main: main_config.main_config(
            str(paths.root), f"{paths.nginx}/*.conf", scene.platform
        ),
        paths.emperor_ini: ini.emperor(
            str(paths.enabled),
            str(paths.emperor_stats),
            str(paths.uwsgi / "emperor.pid"),
            str(paths.emperor_log),
        ),
    }
    for file, text in wanted.items():
        if files.read(file) != text:
            again = starting(scene, again=True) if scene.managed else "start piku up again"
            yield warning(
                f"{file} is not what this version of piku writes", f"piku setup, then {again}"
            )


def _sites(scene: Scene) -> Iterator[Finding]:
    paths = scene.paths
    for app in scene.apps:
        if app.refused.exists():
            yield problem(
                "nginx refused its configuration, so it is not served",
                f"see {app.refused}, mend what was deployed, and: piku deploy {app.name}",
                app=app.name,
            )
    served = {name: site for name, site in live_sites.load(paths)[0].items() if name in scene.sites}
    complete, unclear = site_state.all_of(paths, served)
    for name in unclear:
        yield problem("what belongs to its site is damaged", f"piku deploy {name}", app=name)
    for name, (site, known) in complete.items():
        wanted = service.MARK + nginx_app.app_config(site, scene.platform, known)
        installed = files.read(paths.app(name).nginx)
        if installed != wanted:
            how = (
                "was changed by hand, or by another version of piku" if installed else "is missing"
            )
            severity = warning if installed else problem
            yield severity(f"nginx/{name}.conf {how}", f"piku restart {name}", app=name)
    # At its start nginx reads everything, whether it was told of a change or not.
    if scene.nginx and _written(paths.nginx / "reload-pending") > _written(paths.nginx_pid):
        first = next(iter(scene.sites), "")
        fix = f"piku restart {first}" if first else starting(scene, "piku-nginx", again=True)
        yield warning("nginx has not taken up its newest configuration", fix)


def _written(file: Path) -> float:
    return file.stat().st_mtime if file.exists() else 0.0
