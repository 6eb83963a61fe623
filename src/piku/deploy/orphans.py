"""Processes that outlive what started them, found by the mark in their environment.

uWSGI ends its own workers and a daemon's process group; whatever left that group, and what a killed
deploy was building, still has the variables that it was started with.
"""

import time
from collections.abc import Collection

from piku import files, procfs
from piku.app.procfile import UWSGI_SERVED
from piku.paths import AppName, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName

_STOPPING = 30.0  # seconds; what takes longer is left to the next time
_GRACE = 3.0  # seconds that a process has whose vassal has ended
_FORKED = 1.0  # seconds for what uWSGI's own workers started: it inherits that SIGTERM is ignored


def build_mark(app: AppName, release: int) -> str:
    """The mark of what runs while a release is made; no vassal has such a name."""
    return f"{app}@v{release}"


def end(paths: Paths, names: Collection[VassalName], grace: float) -> None:
    """End what these vassals, which have stopped, left behind; it has `grace` seconds."""
    served = all(name.kind in UWSGI_SERVED for name in names)
    _end_marked(paths, {str(name) for name in names}, _FORKED if served else grace)


def end_builds(paths: Paths, app: AppName, release: int) -> None:
    """Kill what a deploy that was killed had started: it would go on writing."""
    _end_marked(paths, {build_mark(app, release)}, 0)


def _end_marked(paths: Paths, marks: Collection[str], grace: float) -> None:
    found = {pid for pid, mark in procfs.marked(paths.root).items() if mark in marks}
    procfs.end(found, grace)


def end_all(paths: Paths) -> None:
    """Wait until the stopping processes of all apps have ended, then end what they left behind
    (housekeeping): a deploy does not wait for the release before it."""
    left = _marked(paths) - set(emperor.enabled(paths))
    for _ in files.poll(time.monotonic() + _STOPPING, most=0.5):
        running = emperor.observe(paths)
        over = left - set(running) if running is not None else set()
        end(paths, over, _GRACE)
        left -= over
        if not left:
            return


def sweep(paths: Paths, app: AppName, busy: Collection[VassalName]) -> None:
    """End what is marked as of vassals of the app that are no more; `busy` are those that are."""
    end(paths, {name for name in _marked(paths) if name.app == app} - set(busy), _GRACE)


def _marked(paths: Paths) -> set[VassalName]:
    """The vassals of which any process is left."""
    marks = set(procfs.marked(paths.root).values())
    return {name for mark in marks if (name := VassalName.parse(mark))}
