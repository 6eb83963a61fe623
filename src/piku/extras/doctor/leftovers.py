"""What commands that were killed, apps that were destroyed and other servers have left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from piku import procfs
from piku.extras.doctor.findings import Finding, ok, warning
from piku.extras.doctor.scene import Scene
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName

_TEMPORARY = re.compile(r"\..*\.(\d+)(\.\w{8})?\.tmp$")


def leftovers(scene: Scene) -> Iterator[Finding]:
    """Temporary files, processes and vassals that belong to nobody."""
    found = [*_files(scene), *_processes(scene), *_vassals(scene)]
    yield from found or [ok("nothing was left behind")]


def _files(scene: Scene) -> Iterator[Finding]:
    root = scene.paths.root
    folders = [
        root,
        *(root / name for name in scene.paths.FOLDERS if name not in ("data", "cache", "plugins")),
    ]
    own = [folder for app in scene.apps for folder in (app.releases, app.envs, app.logs)]
    left = [
        path
        for folder in (*folders, *own)
        for path in folder.glob(".*.tmp")
        if (found := _TEMPORARY.fullmatch(path.name)) and not procfs.is_running(int(found[1]))
    ]
    if left:
        app = next(iter(scene.apps), None)
        fix = f"piku restart {app.name}" if app else f"rm -r {left[0]}"
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        yield warning(f"a command that was killed left {left[0]}{more}", fix)


def _processes(scene: Scene) -> Iterator[Finding]:
    """Processes that apps started, whose own process is no more."""
    alive = {str(name) for name in (*(scene.states or {}), *emperor.enabled(scene.paths))}
    names = {app.name for app in scene.apps}
    for pid, mark in procfs.marked(scene.paths.root).items():
        name = VassalName.parse(mark)
        if name is None or mark in alive or name.app not in names:
            continue
        command = procfs.command(pid)[:80]
        yield warning(
            f"process {pid} ({command}) outlived {name.worker}, which started it",
            f"kill {pid}",
            app=name.app,
        )


def _vassals(scene: Scene) -> Iterator[Finding]:
    """What the emperor is told to run of apps that are not here, or of releases that are not live."""
    known = set(scene.paths.app_names())
    for name in emperor.enabled(scene.paths):
        if name.app not in known:
            yield warning(
                f"{name} still runs, and its app is gone",
                f"rm {scene.paths.enabled / f'{name}.ini'}",
            )
