"""Bringing a release's processes up, committing, and letting the old ones go; or leaving all as it was."""

from __future__ import annotations

import time
from collections.abc import Sequence

from piku import files, locks, ports
from piku.app import settings, variables
from piku.app.procfile import UWSGI_SERVED
from piku.deploy import health, reconcile, releases
from piku.deploy import instances as activations
from piku.deploy.deployment import Job
from piku.deploy.releases import Activation, Process
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.extras.limits import limits
from piku.nginx import cloudflare, service, site_state
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def activate(job: Job, *, carried: Sequence[Process] = ()) -> Activation:
    """Start the processes of a release and make it the live one.

    Until the commit any failure stops what was started, brings back what was stopped, and is raised
    again. `carried` are processes of the live activation that go on as they are.
    """
    paths, app = job.paths, job.app
    limits.refuse(paths, app, job.values)
    live = releases.live(app)
    before = live.processes if live else ()
    going = [process for process in before if process not in carried]
    try:
        if job.plan.alone and any(process.address for process in going):
            _try_loading(job)
        job.progress.at("configuration")
        _warn_of_idle(job)
        new = activations.create(job, carried=carried)
        _write_live_env(job, new)
        _check_nginx(job, new)
        _start(job, new, going)
        files.settle()
        with locks.lock(paths.uwsgi / "nginx.lock", "going live"):
            if new.site is not None:
                reconcile.refuse_taken_names(paths, app.name, new.site)
            job.progress.at("switch")
            releases.commit(app, new)
            files.remove(app.refused)
    except BaseException:
        go_back(paths, app)
        raise
    reconcile.converge(paths, app, say=job.output.detail)
    return new


def go_back(paths: Paths, app: AppPaths) -> None:
    """Go back to what the live record says: new processes end, stopped ones come back."""
    live = releases.live(app)
    wanted = sleeping.wanted(app, live)
    # What is older than the live activation was live before it, and may be asked until nginx has followed.
    started = [
        name
        for name in emperor.enabled(paths, app.name)
        if name not in wanted and (live is None or name.activation > live.number)
    ]
    if started:
        # They must be gone first: an old process may need their port, or be a worker's twin.
        emperor.disable(paths, started)
        emperor.wait_gone(paths, started, 15)
    missing = set(wanted) - set(emperor.enabled(paths, app.name))
    stopped = [p for p in (live.processes if live else ()) if p.vassal(app.name) in missing]
    reconcile.converge(paths, app)
    health.wait_back(paths, app, stopped, 30)


def _write_live_env(job: Job, new: Activation) -> None:
    seen = job.variables(next((process for process in new.processes if process.port), None))
    files.write(
        job.app.activation(new.number) / "LIVE_ENV", variables.render_literal(seen), mode=0o600
    )


def _warn_of_idle(job: Job) -> None:
    """Say which setting cannot be followed in an app that is to sleep."""
    values = job.values
    idle = settings.IDLE.read(values)
    if not idle or not job.plan.serving:
        return
    if not settings.SERVER_NAME.read(values):
        job.output.warn(
            f"UWSGI_IDLE={idle} does nothing: without NGINX_SERVER_NAME nobody would wake the app"
        )
    wanted, held = settings.LISTEN.read(values), int(settings.LISTEN.default)
    if job.plan.port == "socket" and wanted != held:
        job.output.warn(
            f"UWSGI_LISTEN={wanted} does nothing: with UWSGI_IDLE the queue has a length of {held}"
        )


def _check_nginx(job: Job, new: Activation) -> None:
    if new.site is None:
        return
    reconcile.refuse_taken_names(job.paths, job.app.name, new.site)
    service.check_addresses(job.paths, new.site)
    live = releases.live(job.app)
    if new.site.cloudflare and (
        warning := cloudflare.refresh(job.paths, settings.CLOUDFLARE_API.read(job.values))
    ):
        job.output.warn(warning)
    if live is not None and live.site == new.site:
        return  # nginx has taken exactly this already
    own = {job.app.name: (new.site, site_state.of(job.paths, job.app.name, new.site))}
    known_as = (
        {new.site.include: settings.INCLUDE_FILE.read(job.values)} if new.site.include else {}
    )
    everything, _ = site_state.all_of(job.paths, reconcile.live_sites(job.paths))
    others = {name: pair for name, pair in everything.items() if name != job.app.name}
    try:
        service.check(job.paths, {**others, **own}, known_as=known_as)
    except PikuError:
        service.check(job.paths, own, known_as=known_as)
        # What another app includes has become wrong since it was deployed: that is its fault alone.
        refused = reconcile.set_aside(job.paths, others, job.output.warn)
        rest = {name: pair for name, pair in others.items() if name not in refused}
        service.check(job.paths, {**rest, **own}, known_as=known_as)


def _try_loading(job: Job) -> None:
    """See that a wsgi app loads, on a socket of its own, before the old release is stopped for it."""
    job.output.step(f"The old release stops before the new one starts: {job.plan.alone}")
    if job.plan.serving not in UWSGI_SERVED or job.plan.port == "socket":
        return
    job.progress.at("load")
    canary = activations.create(job, canary=True)
    names = canary.vassals(job.app.name)
    emperor.enable(job.paths, names)
    _wait(job, canary, canary.processes)
    reconcile.stop(job.paths, names, canary.stop_timeout)


def _start(job: Job, new: Activation, going: Sequence[Process]) -> None:
    """Start what is new, stopping before it only what may not run twice; scheduled jobs wait for the commit."""
    fresh = [process for process in new.processes if process.origin == new.number]
    serving = [process for process in fresh if process.address]
    workers = [process for process in fresh if not process.address and not process.schedules]
    job.progress.at("start")
    if serving:
        if job.plan.alone:
            _stop_old(job, [process for process in going if process.address])
        _wait_for_ports(job, serving)
        begun = time.monotonic()
        _enable(job, serving)
        _wait(job, new, serving)
        job.output.detail(f"healthy after {time.monotonic() - begun:.2f} s")
    _stop_old(job, [process for process in going if not process.address and not process.schedules])
    if workers:
        job.progress.at("workers")
        _enable(job, workers)
        timeout = settings.DEPLOY_TIMEOUT.read(job.values)
        health.wait_workers(job.paths, job.app, new, workers, timeout)


def _enable(job: Job, chosen: Sequence[Process]) -> None:
    job.output.step(f"Starting {', '.join(process.title for process in chosen)}")
    emperor.enable(job.paths, [process.vassal(job.app.name) for process in chosen])


def _stop_old(job: Job, old: Sequence[Process]) -> None:
    if not old:
        return
    names = [process.vassal(job.app.name) for process in old]
    # nginx keeps idle connections to a `web` process open, so it is never seen to be done; it is told
    # to stop by SIGTERM and can end what it has begun. uWSGI would cut it off.
    by_uwsgi = [name for name in names if name.kind in UWSGI_SERVED]
    reconcile.drain(job.app, by_uwsgi, job.output.detail)
    live = releases.live(job.app)
    reconcile.stop(job.paths, names, live.stop_timeout if live else 10)


def _wait(job: Job, new: Activation, chosen: Sequence[Process]) -> None:
    names = settings.SERVER_NAME.read(job.values)
    check = health.Check(
        path=settings.HEALTHCHECK_PATH.read(job.values),
        host=names[0].removeprefix("*.") if names else "localhost",
    )
    timeout = settings.DEPLOY_TIMEOUT.read(job.values)
    health.wait_serving(job.paths, job.app, new, chosen, timeout, check)


def _wait_for_ports(job: Job, serving: Sequence[Process]) -> None:
    """A port of ours is free once the process before has ended; another program's never will be."""
    bind = settings.BIND_ADDRESS.read(job.values)
    for port in (process.port for process in serving if process.port is not None):
        for _ in files.poll(time.monotonic() + 3):
            if ports.is_free(bind, port):
                break
        else:
            raise activations.port_in_use(bind, port)
