"""Putting right what a command left half done when it was killed or the power went."""

from piku import errors, files, locks
from piku.deploy import build, checkout, health, orphans, reconcile, releases
from piku.deploy.releases import BUILDING, BUILT, FAILED, SUCCEEDED, Release
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def recover(paths: Paths, app: AppPaths, *, killed: bool) -> None:
    """Recover an app, whose lock the caller holds; its last command may have been `killed`."""
    unfinished = _clear(paths, app)
    if killed or unfinished is not None or not reconcile.is_settled(paths, app):
        roll_back(paths, app)
        if unfinished is not None:
            close(app, unfinished)


def _clear(paths: Paths, app: AppPaths) -> Release | None:
    """Remove what a killed command had begun, and end what it ran; returns the release that was
    being made, if any: nobody else holds the lock."""
    make_folders(app)
    _sweep(paths, app)
    checkout.remove_stale_locks(app.repo)
    unfinished = _unfinished(app)
    if unfinished is not None:
        orphans.end_builds(paths, app.name, unfinished.number)
    build.remove_half_built(app)
    return unfinished


def _unfinished(app: AppPaths) -> Release | None:
    """The release that was being made, or one that waited and has just gone live."""
    newest = releases.newest(app)
    if newest is not None and newest.outcome == BUILT:
        live = releases.live(app)
        return newest if live is not None and live.release == newest.number else None
    return newest if newest is not None and newest.outcome == BUILDING else None


def close(app: AppPaths, release: Release, reason: str = "") -> bool:
    """Give a release that was not finished its outcome; returns whether it is live. The code of one
    that failed is removed, unless it was complete and had waited."""
    live = releases.live(app)
    if live is not None and live.release == release.number:
        releases.finish(app, release, SUCCEEDED)
        return True
    if release.outcome == BUILDING and release.has_own_code:
        files.discard([app.code(release.checkout)])
    reason = reason or f"interrupted at {release.step or 'its start'}"
    releases.finish(app, release, FAILED, reason)
    return False


def roll_back(paths: Paths, app: AppPaths) -> None:
    """Roll back to the live record: new processes end, stopped ones come back and answer again."""
    live = releases.live(app)
    enabled = emperor.enabled(paths, app.name)
    stopped = [p for p in (live.processes if live else ()) if p.vassal(app.name) not in enabled]
    reconcile.reconcile(paths, app, wait_stopped=True)
    resumed = set(emperor.enabled(paths, app.name))
    health.wait_back(paths, app, [p for p in stopped if p.vassal(app.name) in resumed], 30)


def what_runs(paths: Paths, app: AppPaths) -> str:
    """A sentence on what serves now, after something failed."""
    live = releases.live(app)
    if live is None:
        return "nothing of this app runs yet"
    if not live.processes and not (live.site and live.site.static):
        return f"v{live.release} stays as it was, stopped"
    name = f"v{live.release} ({releases.load_release(app, live.release).commit[:8]})"
    if not emperor.is_running(paths):
        return f"{name} stays the live one, and starts when piku does"
    return f"{name} still runs, as before"


def make_folders(app: AppPaths) -> None:
    """Make what LOG_ROOT and DATA_ROOT name; a restored backup may lack them."""
    app.logs.mkdir(parents=True, exist_ok=True)
    app.data.mkdir(parents=True, exist_ok=True)


def _sweep(paths: Paths, app: AppPaths) -> None:
    """Remove what killed commands were writing, in piku's own folders. An app may write to its logs
    as well: there only piku's links are known by their name."""
    shared = ("apps", "nginx", "releases", "repos", "uwsgi", "uwsgi-available", "uwsgi-enabled")
    own = (app.releases, app.releases / "starts", app.envs, app.repo / "hooks")
    files.sweep(paths.root, *(paths.root / name for name in shared), *own)
    files.sweep(app.logs, name="link")


def recover_all(paths: Paths, output: Output) -> None:
    """Before the platform starts: every app as its live record says, with nothing else enabled;
    nginx comes after it.

    An app whose records are damaged is named and left alone: it must not keep the others down.
    """
    for name in paths.app_names():
        app = paths.app(name)
        try:
            with locks.lock(app.lock, "starting the platform", patient=False):
                unfinished = _clear(paths, app)
                reconcile.reconcile(paths, app, nginx=False)
                if unfinished is not None:
                    close(app, unfinished)
                _name_missing(app, output)
        except locks.LockHeld as held:
            # That deploy needs the platform to go on, and reconciles the app when it ends.
            output.detail(f"{name}: {held}")
        except Exception as error:  # noqa: BLE001 (nothing of one app keeps the others down)
            output.error(errors.of(error).within(f"{name} could not be brought back: ", ""))
    known = set(paths.app_names())
    emperor.disable(paths, [name for name in emperor.enabled(paths) if name.app not in known])


def _name_missing(app: AppPaths, output: Output) -> None:
    """A backup may lack what can be built anew."""
    live = releases.live(app)
    if live is not None and (
        missing := build.missing(app, releases.load_release(app, live.release))
    ):
        output.warn(f"{app.name} cannot run: the {missing} of v{live.release} is missing")
        output.warn(f"rebuild it: piku deploy {app.name}")
