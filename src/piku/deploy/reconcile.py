"""Making the server match an app's live record: the switch, and every repair.

The record says which activation is live; links, nginx and workers follow from it. A deploy that has
committed, one that failed, one that was killed, and the start after a power cut all end here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from piku import files as files_module
from piku import locks, ports
from piku.deploy import app_env, certificates, cleanup, orphans, process_plan, releases
from piku.deploy import process_config as files
from piku.deploy.releases import Activation, Process
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.extras.log_drain import shipping
from piku.nginx import rotation, service, site_state
from piku.nginx import vhost as nginx_app
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import emperor, housekeeping
from piku.uwsgi.emperor import VassalName

Say = Callable[[str], None]
LATE = 10  # seconds that uWSGI may take beyond what a process has
_LEAST = 1.0  # seconds for what a process left, when that has used up all of them
_KILLED = 5  # seconds until the emperor has noticed that a process was killed


def _quiet(_text: str) -> None:
    pass


def live_sites(paths: Paths) -> dict[AppName, Site]:
    """What nginx is to serve: the site of every app's live activation, unless it was set aside."""
    return _sites(paths)[0]


def _sites(paths: Paths) -> tuple[dict[AppName, Site], list[AppName]]:
    """The sites to serve, and the apps of which nobody can say: their records are damaged."""
    found: dict[AppName, Site] = {}
    unknown: list[AppName] = []
    for name in paths.app_names():
        if paths.app(name).refused.exists():
            continue
        try:
            live = releases.live(paths.app(name))
        except PikuError:
            unknown.append(name)  # one app's damaged record must not stop the others
            continue
        if live is not None and live.site is not None:
            found[name] = live.site
    return found, unknown


def refuse_taken_names(paths: Paths, app: AppName, site: Site) -> None:
    """Raise PikuError when another app has one of these host names."""
    for other, theirs in live_sites(paths).items():
        shared = sorted(set(site.certified) & set(theirs.certified))
        if other != app and shared:
            raise PikuError(
                f"{shared[0]} belongs to the app {other!r}",
                hint=f"give that one another first: piku config:set {other} NGINX_SERVER_NAME=another.name",
            )


def converge(paths: Paths, app: AppPaths, *, say: Say = _quiet) -> None:
    """Make everything follow from the live record; the caller holds the app's lock."""
    live = releases.live(app)
    wanted = sleeping.wanted(app, live)
    running = emperor.enabled(paths, app.name)
    stale = [name for name in running if name not in wanted]
    missing = [name for name in wanted if name not in running]
    app_env.make_folders(app)  # a backup that was brought back may be without logs
    if missing:
        # Only what answers requests may run twice for a while.
        stop(paths, [name for name in stale if not _serves(app, name)], grace=10)
        emperor.enable(paths, missing)
    if live is not None:
        _link(app, live)
    update_nginx(paths)
    _retire(paths, app, stale, say)
    cleanup.clean(paths, app, live)


def _process(app: AppPaths, name: VassalName) -> Process | None:
    activation = releases.load_activation(app, name.activation)
    processes = activation.processes if activation else ()
    return next((process for process in processes if process.vassal(app.name) == name), None)


def _serves(app: AppPaths, name: VassalName) -> bool:
    process = _process(app, name)
    return process is not None and bool(process.address)


def update_nginx(paths: Paths) -> None:
    """Install what every live record asks for, and have nginx take it up if anything changed."""
    with locks.lock(paths.uwsgi / "nginx.lock", "updating nginx"):
        sites, unknown = _sites(paths)
        complete, unclear = site_state.all_of(paths, sites)
        keep = [*unknown, *unclear]
        if service.install(paths, complete, keep=keep):
            try:
                service.reload(paths)
            except PikuError:
                # What one app includes may have become wrong since it was deployed.
                refused = set_aside(paths, complete, _quiet)
                if not refused:
                    raise
                rest = {name: pair for name, pair in complete.items() if name not in refused}
                service.install(paths, rest, keep=keep)
                service.reload(paths)
        follow(paths, sites)


def set_aside(paths: Paths, sites: service.Sites, warn: Say) -> set[AppName]:
    """Set aside the sites that nginx does not take even by themselves, so that the others are served."""
    refused = set()
    for name, (site, known) in sites.items():
        try:
            service.check_addresses(paths, site)
            service.check(paths, {name: (site, known)})
        except PikuError as error:
            refused.add(name)
            warn(f"{name} is NOT served: {error.message}")
            warn(f"mend it and deploy it again; its file is kept as {name}.conf.refused")
            text = nginx_app.app_config(site, service.platform(paths), known)
            files_module.write(paths.app(name).refused, text)
    return refused


def follow(paths: Paths, sites: Mapping[AppName, Site]) -> None:
    """See to it that what these sites need now and then is done."""
    rotation.rotate(paths, {})
    housekeeping.follow(paths, sites.values(), drains=shipping.follow(paths))
    if certificates.due(paths, sites):
        housekeeping.ask(paths)


def _link(app: AppPaths, live: Activation) -> None:
    """Point the stable names at the live activation: its code, sockets, logs and variables."""
    app.live_link.parent.mkdir(parents=True, exist_ok=True)
    _link_code(app, live)
    for process in live.processes:
        if process.by_socket:
            files_module.link(process.address, app.socket(process.instance))
        if not process.schedules:
            files_module.link(files.log_file(app, process).name, app.logs / f"{process.worker}.log")
    if live.counts is not None:
        files_module.write(app.scaling, process_plan.render_scaling(live.counts), durable=True)
    files_module.write(
        app.live_env, files_module.read(app.activation(live.number) / "LIVE_ENV"), mode=0o600
    )


def _link_code(app: AppPaths, live: Activation) -> None:
    now = app.live_link.resolve() if app.live_link.is_symlink() else None
    if now is not None and now.name != live.checkout:
        files_module.link(now, app.before_link)
    files_module.link(app.releases / live.checkout, app.live_link)


def _retire(paths: Paths, app: AppPaths, names: list[VassalName], say: Say) -> None:
    """Stop processes that are no longer live, after the requests they have begun."""
    if not names:
        return
    escaping: set[int] = set()
    if emperor.is_running(paths):
        drain(app, names, say)
        escaping = orphans.escaping(paths, names)
    emperor.disable(paths, names)
    if escaping:
        # Rarely so: a deploy does not wait for its old processes otherwise.
        old = releases.load_activation(app, names[0].activation)
        with contextlib.suppress(PikuError):  # the new ones are live all the same
            see_off(paths, names, escaping, old.stop_timeout if old else 10)


def drain(app: AppPaths, names: Iterable[VassalName], say: Say) -> None:
    """Wait until nobody is connected to these processes, as long as their activation allows."""
    processes = [
        process for process in (_process(app, name) for name in names) if process is not None
    ]
    addresses = [process.address for process in processes if process.address]
    if not addresses:
        return
    old = releases.load_activation(app, processes[0].origin)
    timeout = old.drain_timeout if old else 0
    said = False
    begun = time.monotonic()
    for _ in files_module.poll(begun + timeout, first=0.005):
        count = ports.connections(addresses)
        if not count:
            return
        if not said and time.monotonic() - begun > 1:
            said = True
            say(f"Waiting for {count} open connections of the old processes, at most {timeout} s")


def stop(paths: Paths, names: list[VassalName], grace: float) -> None:
    """Stop these processes and wait until they have ended; raises PikuError when they do not.

    They have `grace` seconds to end by themselves, and so has all that they started.
    """
    escaping = orphans.escaping(paths, names) if names else set()
    emperor.disable(paths, names)
    see_off(paths, names, escaping, grace)


def see_off(
    paths: Paths, names: Collection[VassalName], escaping: Iterable[int], grace: float
) -> None:
    """Wait until processes that were told to stop are gone, then end what they left. A uWSGI that does not end is
    killed; raises PikuError when even that does not help."""
    begun = time.monotonic()
    if left := emperor.wait_gone(paths, names, grace + LATE):
        states = emperor.statistics(paths) or {}
        orphans.kill(states[name].pid for name in left if name in states)
        left = emperor.wait_gone(paths, left, _KILLED)
    orphans.end(escaping, max(_LEAST, grace - (time.monotonic() - begun)))
    if left:
        raise PikuError(f"{', '.join(sorted(name.worker for name in left))} did not stop")
