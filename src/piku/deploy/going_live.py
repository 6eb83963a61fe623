"""Starting a release's processes beside the live ones, and the commit; or leaving all as it was."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from piku import dotenv, errors, files, locks, ports
from piku.app import settings
from piku.deploy import health, instances, live_sites, reconcile, recovery, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service, site_config
from piku.nginx.site import Site
from piku.uwsgi import emperor


def activate(deployment: Deployment, *, reused: Sequence[Process] = ()) -> Live:
    """Start the processes of a release and make it the live one.

    Until the commit any failure stops what was started, brings back what was stopped, and is raised
    again. `reused` are processes of the live release that go on as they are.
    """
    paths, app, live = deployment.paths, deployment.app, deployment.live
    going = [process for process in (live.processes if live else ()) if process not in reused]
    try:
        deployment.progress.at("configuration")
        number, started = instances.create(deployment, reused)
        new = record(deployment, number, (*reused, *started))
        # The disk has all that the record refers to before that is written.
        with files.syncing(paths.root):
            _check_nginx(deployment, new)
            if finished := _start(deployment, started, going):
                new = _without(deployment, new, finished)
        with locks.lock(paths.uwsgi / "nginx.lock", "going live"):
            if new.site is not None:
                names = (*new.site.names, *new.site.redirect_from)
                live_sites.refuse_taken_names(paths, app.name, names)
            deployment.progress.at("switch")
            new = replace(new, draining=reconcile.draining(live, going))  # its time begins now
            releases.commit(app, new)
            files.remove(app.refused)
    except BaseException:
        try:
            recovery.roll_back(paths, app)
        except Exception as second:  # noqa: BLE001 (the first one says why the deploy failed)
            deployment.output.error(errors.of(second).within("going back failed as well: ", ""))
        raise
    reconcile.reconcile(paths, app, say=deployment.output.detail)
    return new


def refuse_conflicts(deployment: Deployment) -> None:
    """Raise PikuError for a name, an address or a port that cannot be this app's."""
    paths, values = deployment.paths, deployment.values
    names = (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))
    live_sites.refuse_taken_names(paths, deployment.app.name, names)
    service.check_addresses(values, service.platform(paths))
    if deployment.plan.port == "fixed" and deployment.plan.instances:
        instances.one_port(deployment)


def record(deployment: Deployment, number: int, processes: Sequence[Process]) -> Live:
    """The live record of this start."""
    app, values, release = deployment.app, deployment.values, deployment.release
    live = deployment.live
    seen = deployment.variables(next((process for process in processes if process.port), None))
    live_env = app.start(number) / "LIVE_ENV"
    files.write(live_env, dotenv.render(seen), mode=0o600)
    deployment.progress.add_start(number)
    return Live(
        release=release.number,
        checkout=release.checkout,
        start=number,
        processes=tuple(processes),
        site=site(deployment, processes, live),
        drain_timeout=settings.DRAIN_TIMEOUT.read(values),
        stop_timeout=settings.STOP_TIMEOUT.read(values),
        counts=deployment.plan.counts,
    )


def site(
    deployment: Deployment, processes: Iterable[Process], live: Live | None = None
) -> Site | None:
    """The site with these processes behind it; raises PikuError for a setting that is wrong."""
    app, plan, procfile = deployment.app, deployment.plan, deployment.revision.procfile
    return site_config.of(
        app, deployment.checkout, deployment.values,
        folder=procfile.command("static"),
        files_only=not procfile.scalable and not procfile.jobs,
        serving=plan.serving,
        upstreams=tuple(process.upstream(app) for process in processes if process.address),
        before=live.site if live else None,
    )  # fmt: skip


def _check_nginx(deployment: Deployment, new: Live) -> None:
    paths, app, live, site = deployment.paths, deployment.app, deployment.live, new.site
    if site is None:
        return
    if live is not None and live.site == site and not app.refused.exists():
        return  # nginx has accepted exactly this already
    sites, damaged = live_sites.states(paths, {app.name: site})
    if app.name in damaged:
        raise damaged[app.name]
    own = {app.name: sites.pop(app.name)}
    try:
        service.check(paths, {**sites, **own})
    except PikuError:
        service.check(paths, own)
        # What another app includes has become wrong since it was deployed: only that app pays.
        rest = live_sites.accepted(paths, sites, deployment.output.warn)
        service.check(paths, {**rest, **own})


def _without(deployment: Deployment, new: Live, finished: set[Process]) -> Live:
    """The record without workers that have done what they had to; they are not started again."""
    app, kinds = deployment.app, sorted({process.kind for process in finished})
    emperor.disable(deployment.paths, [process.vassal(app.name) for process in finished])
    for kind in kinds:
        deployment.output.warn(f"{kind} has ended with exit code 0, so it is scaled to 0 now:")
        deployment.output.warn(f"run it with: piku run {app.name} {kind}")
    counts = releases.counts(app) | dict.fromkeys(kinds, 0)
    processes = tuple(process for process in new.processes if process.kind not in kinds)
    return replace(new, processes=processes, counts=counts)


def _start(
    deployment: Deployment, started: Sequence[Process], going: Sequence[Process]
) -> set[Process]:
    """Start what is new, stopping before it only what may not run twice; scheduled jobs wait for
    the commit. Returns the workers of a first release that have ended well."""
    serving = [process for process in started if process.address]
    workers = [process for process in started if not process.address and not process.schedules]
    deployment.progress.at("start")
    if serving:
        live_status = None
        if reason := deployment.plan.no_overlap_reason:
            deployment.output.step(f"The old release stops before the new one starts: {reason}")
            live_status = health.ask_live(deployment)
            for stopping in hooks("stopping"):
                stopping(deployment)
            _stop_old(deployment, [process for process in going if process.address])
            _wait_for_ports(deployment, serving)
        begun = time.monotonic()
        _enable(deployment, serving)
        health.wait_serving(deployment, serving, live_status)
        deployment.output.detail(f"healthy after {time.monotonic() - begun:.2f} s")
    _stop_old(deployment, [p for p in going if not p.address and not p.schedules])
    if workers:
        deployment.progress.at("workers")
        _enable(deployment, workers)
        return health.wait_workers(deployment, workers, may_finish=deployment.live is None)
    return set()


def _enable(deployment: Deployment, chosen: Sequence[Process]) -> None:
    deployment.output.step(f"Starting {', '.join(process.title for process in chosen)}")
    emperor.enable(deployment.paths, [process.vassal(deployment.app.name) for process in chosen])


def _stop_old(deployment: Deployment, old: Sequence[Process]) -> None:
    """Stop processes that the new ones cannot run beside, after the requests they have begun."""
    live = deployment.live
    if not old or live is None:
        return
    # nginx keeps idle connections to a `web` process open: only of a socket is the end seen.
    by_socket = [process.address for process in old if process.by_socket]
    for _ in files.poll(time.monotonic() + live.drain_timeout, first=0.005):
        if not by_socket or not ports.connections(by_socket):
            break
    names = [process.vassal(deployment.app.name) for process in old]
    reconcile.stop(deployment.paths, names, live.stop_timeout)


def _wait_for_ports(deployment: Deployment, serving: Sequence[Process]) -> None:
    """A port of ours is free once the process before has ended; another program's never will be."""
    bind = settings.BIND_ADDRESS.read(deployment.values)
    for port in (process.port for process in serving if process.port is not None):
        for _ in files.poll(time.monotonic() + 3):
            if not ports.cannot_listen(bind, port):
                break
        else:
            raise instances.port_in_use(bind, port)
