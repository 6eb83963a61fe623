"""Bringing a release's processes up, committing, and letting the old ones go; or leaving all as it was."""

from __future__ import annotations

import time
from collections.abc import Sequence

from piku import effects
from piku.app import settings
from piku.deploy import activation as activations
from piku.deploy import converge, environment, health, records
from piku.deploy.plan import Plan
from piku.deploy.progress import Progress
from piku.deploy.records import Activation, Process, Release
from piku.deploy.source import Source
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.serve import emperor, sockets, webserver


def activate(
    paths: Paths, app: AppPaths, release: Release, source: Source, plan: Plan,
    output: Output, progress: Progress, *, carried: Sequence[Process] = (), stopped: bool = False,
) -> Activation:  # fmt: skip
    """Start the processes of a release and make it the live one.

    Until the commit any failure stops what was started, brings back what was stopped, and is raised
    again. `carried` are processes of the live activation that go on as they are.
    """
    live = records.live(app)
    before = live.processes if live else ()
    going = [process for process in before if process not in carried]
    try:
        if plan.alone and any(process.address for process in going):
            _try_loading(paths, app, release, source, plan, output, progress)
        progress.at("configuration")
        new = activations.create(paths, app, release, source, plan, output, carried=carried, stopped=stopped)
        _write_live_env(paths, app, release, source, new)
        _check_nginx(paths, app, new, source)
        _start(paths, app, new, source, plan, going, output, progress)
        with effects.lock(paths.uwsgi / "nginx.lock", "going live"):
            if new.site is not None:
                converge.refuse_taken_names(paths, app.name, new.site)
            progress.at("switch")
            records.commit(app, new)
    except BaseException:
        _undo(paths, app)
        raise
    converge.converge(paths, app, say=output.detail)
    return new


def _undo(paths: Paths, app: AppPaths) -> None:
    """Go back to what the live record says: new processes end, stopped ones come back."""
    live = records.live(app)
    wanted = live.vassals(app.name) if live else []
    started = [name for name in emperor.enabled(paths, app.name) if name not in wanted]
    if started:
        # They must be gone first: an old process may need their port, or be a worker's twin.
        emperor.disable(paths, started)
        emperor.wait_gone(paths, started, 15)
    converge.converge(paths, app)


def _write_live_env(paths: Paths, app: AppPaths, release: Release, source: Source, new: Activation) -> None:
    process = next((process for process in new.processes if process.port), None)
    context = source.context(app)
    seen = environment.variables(paths, app, release, source.values, source.runtime.env(context), process)
    effects.write(app.activation(new.number) / "LIVE_ENV", settings.render_literal(seen), mode=0o600)


def _check_nginx(paths: Paths, app: AppPaths, new: Activation, source: Source) -> None:
    if new.site is None:
        return
    converge.refuse_taken_names(paths, app.name, new.site)
    known_as = {new.site.include: settings.INCLUDE_FILE.read(source.values)} if new.site.include else {}
    webserver.check(paths, {**converge.live_sites(paths), app.name: new.site}, known_as=known_as)


def _try_loading(
    paths: Paths,
    app: AppPaths,
    release: Release,
    source: Source,
    plan: Plan,
    output: Output,
    progress: Progress,
) -> None:
    """See that a wsgi app loads, on a socket of its own, before the old release is stopped for it."""
    output.step(f"The old release stops before the new one starts: {plan.alone}")
    if plan.serving != "wsgi" or plan.alone.startswith(("PIKU_DEPLOY_STRATEGY", "not enough")):
        return
    progress.at("load")
    canary = activations.create(paths, app, release, source, plan, output, canary=True)
    emperor.enable(paths, canary.vassals(app.name))
    _wait(paths, app, canary, source, canary.processes)
    converge.stop(paths, canary.vassals(app.name), canary.stop_timeout + 5)


def _start(
    paths: Paths, app: AppPaths, new: Activation, source: Source, plan: Plan,
    going: Sequence[Process], output: Output, progress: Progress,
) -> None:  # fmt: skip
    """Start what is new, stopping before it only what may not run twice."""
    fresh = [process for process in new.processes if process.origin == new.number]
    serving = [process for process in fresh if process.address]
    workers = [process for process in fresh if not process.address]
    progress.at("start")
    if serving:
        if plan.alone:
            _stop_old(paths, app, [process for process in going if process.address], output)
        output.step(f"Starting {', '.join(process.worker for process in serving)}")
        begun = time.monotonic()
        _wait_for_ports(serving, source)
        emperor.enable(paths, [process.vassal(app.name) for process in serving], forgive=True)
        _wait(paths, app, new, source, serving)
        output.detail(f"healthy after {time.monotonic() - begun:.2f} s")
    if old := [process for process in going if not process.address]:
        _stop_old(paths, app, old, output)
    if workers:
        progress.at("workers")
        output.step(f"Starting {', '.join(process.worker for process in workers)}")
        emperor.enable(paths, [process.vassal(app.name) for process in workers], forgive=True)
        health.wait_workers(paths, app, new, workers)


def _stop_old(paths: Paths, app: AppPaths, old: Sequence[Process], output: Output) -> None:
    names = [process.vassal(app.name) for process in old]
    if any(process.address for process in old):
        converge.drain(app, names, output.detail)
    live = records.live(app)
    converge.stop(paths, names, (live.stop_timeout if live else 10) + 10)


def _wait(paths: Paths, app: AppPaths, new: Activation, source: Source, chosen: Sequence[Process]) -> None:
    names = settings.SERVER_NAME.read(source.values)
    check = health.Check(
        path=settings.HEALTHCHECK_PATH.read(source.values),
        host=names[0].removeprefix("*.") if names else "localhost",
    )
    health.wait_serving(paths, app, new, chosen, settings.DEPLOY_TIMEOUT.read(source.values), check)


def _wait_for_ports(serving: Sequence[Process], source: Source) -> None:
    """A port of ours is free once the process before has ended; another program's never will be."""
    bind = settings.BIND_ADDRESS.read(source.values)
    for process in serving:
        if process.port is None:
            continue
        for _ in effects.poll(time.monotonic() + 3):
            if sockets.is_free(bind, process.port):
                break
        else:
            raise PikuError(
                f"port {process.port} on {bind} is in use by another program",
                hint="choose another PORT, or stop that program",
            )
