"""The runbook: what happens, in which order, when a release is made.

It ends with the new release live, or with the one before as it was.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from piku import files, locks, procfs, subprocesses
from piku.app import settings
from piku.deploy import (
    build,
    certificates,
    checkout,
    persist,
    process_plan,
    prune,
    recovery,
    releases,
    revision,
    switch,
)
from piku.deploy.deployment import Job
from piku.deploy.progress import WORDS, Progress
from piku.deploy.releases import Release
from piku.deploy.revision import Source
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.extras.maintenance import state as state_module
from piku.nginx import service
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: a commit to deploy, with which of config:set's values, and by whom."""

    kind: str
    description: str
    commit: str
    by: str
    own: Mapping[str, str] = field(default_factory=dict)
    leave_behind: bool = False
    activate: bool = True


@contextlib.contextmanager
def locked(paths: Paths, app: AppPaths, what: str, output: Output) -> Iterator[None]:
    """Hold the app's lock, with whatever an interrupted command left mended first.

    A failure is shown here, where the app's secrets are known and its log is kept. A terminal that
    goes away does not end what has begun, and a request to end it undoes it first.
    """
    before = [signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGTERM, _end)]
    try:
        with locks.lock(
            app.lock, what, waiting=lambda who: output.step(f"Waiting for {who}")
        ) as broken_off:
            if not app.repo.is_dir():
                raise PikuError(f"the app {app.name!r} was destroyed meanwhile")
            recovery.recover(paths, app, broken_off=broken_off)
            yield
    except PikuError as error:
        output.on(sys.stderr).error(error)
        error.shown = True
        raise
    finally:
        for number, handler in zip((signal.SIGHUP, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


def _end(_number: int, _frame: object) -> NoReturn:
    sys.exit(143)


def deploy(paths: Paths, app: AppPaths, request: Request, output: Output) -> Release:
    """Make a release of a commit; the caller holds the app's lock. Raises PikuError when it fails,
    and then the release before still serves."""
    release = releases.new_release(
        app, kind=request.kind, description=request.description, commit=request.commit,
        by=request.by, settings=dict(request.own),
    )  # fmt: skip
    progress = Progress(app, release)
    try:
        return _make(paths, app, request, progress, output)
    except PikuError as error:
        raise failed(app, progress, error) from error
    except (SystemExit, KeyboardInterrupt):
        failed(app, progress, PikuError("it was told to end"))
        raise
    except BaseException as error:
        failed(app, progress, PikuError(f"piku itself failed: {type(error).__name__}"))
        raise


def _make(
    paths: Paths, app: AppPaths, request: Request, progress: Progress, output: Output
) -> Release:
    title = f" {request.description!r}" if request.kind == "push" and request.description else ""
    output.step(f"Release v{progress.record.number} of {app.name}: {request.commit[:8]}{title}")
    progress.at("read")
    require_platform(paths)
    found = revision.read(paths, app, request.commit, request.own)
    limits.refuse(paths, app, found.values)
    job = job_for(paths, app, found, counts(app), output, progress)
    for warning in (
        *job.plan.warnings,
        *certificates.warnings(paths, found.values),
        *limits.warnings(paths, found.values),
    ):
        output.warn(warning)
    _mind_files(app, found, request)

    progress.at("checkout")
    _keep_commit(app, request.commit)
    fresh = build.prepare_checkout(app, found)
    if fresh:
        progress.at("preflight")
        build.run_phase("preflight", job)
    progress.at("build")
    build.prepare_environment(job)
    if fresh:
        build.compile_checkout(job)
    if not _goes_live(request, found):
        _mark_built(app, found)
        output.step(
            f"v{job.release.number} is ready and waits: go live with `piku restart {app.name}`"
        )
        return recovery.finish(app, progress.record, releases.PREPARED)
    return go_live(job)


def _goes_live(request: Request, found: Source) -> bool:
    by_itself = request.kind not in ("push", "deploy") or settings.AUTO_RESTART.read(found.values)
    return request.activate and by_itself


def _mark_built(app: AppPaths, found: Source) -> None:
    """Note what the checkout holds before any of its processes has run; later, files are the app's own."""
    used = any(
        r.checkout == found.checkout and r.outcome == releases.SUCCEEDED
        for r in releases.releases(app)
    )
    if not used:
        checkout.mark_built(app, found.checkout, found.environment)


def go_live(job: Job) -> Release:
    """The release command, then the switch."""
    job.progress.at("release")
    if job.release.kind != "rollback":
        build.run_phase("release", job)
    _mark_built(job.app, job.source)
    switch.activate(job)
    done = recovery.finish(job.app, job.progress.record, releases.SUCCEEDED)
    prune.prune(job.app, settings.KEEP_RELEASES.read(job.values))
    _report(job)
    return done


def job_for(
    paths: Paths,
    app: AppPaths,
    found: Source,
    scaling: Mapping[str, int],
    output: Output,
    progress: Progress,
) -> Job:
    """The job of making, or of starting again, a release whose record `progress` has."""
    output.hide(found.values)
    planned = process_plan.plan(
        found.procfile, found.values, scaling, memory_short=_memory_short(paths, app)
    )
    release = progress.record
    if release.outcome == releases.BUILDING:
        release = progress.update(
            runtime=found.runtime.name, environment=found.environment, checkout=found.checkout
        )
    return Job(
        paths=paths,
        app=app,
        release=release,
        source=found,
        plan=planned,
        output=output,
        progress=progress,
    )


def counts(app: AppPaths) -> dict[str, int]:
    """How many processes of each type the app is to have."""
    return process_plan.parse_scaling(files.read(app.scaling))


def _memory_short(paths: Paths, app: AppPaths) -> bool:
    """Whether what the live release takes would not fit a second time."""
    live = releases.live(app)
    names = live.vassals(app.name) if live else []
    states = emperor.statistics(paths) or {}
    pids = [state.pid for name, state in states.items() if name in names]
    if not pids:
        return False
    taken = sum(
        procfs.memory(pid) for vassal in pids for pid in (vassal, *procfs.descendants(vassal))
    )
    return procfs.available_memory() < taken * 5 // 4


def require_platform(paths: Paths) -> None:
    """Raise PikuError unless processes can be started."""
    if not emperor.is_running(paths):
        raise PikuError(
            "piku is not running on this server, so nothing can be started",
            hint="start it there: `piku up`, or its system services",
        )


def _mind_files(app: AppPaths, found: Source, request: Request) -> None:
    """See to what the live release wrote beside its code before another checkout takes its place."""
    live = releases.live(app)
    if live is None or live.checkout == found.checkout:
        return
    persisted = settings.PERSIST.read(found.values)
    if not request.leave_behind:
        checkout.check_untracked(app, live.checkout, persisted)
    persist.move(app, app.releases / live.checkout, persisted)


def _keep_commit(app: AppPaths, commit: str) -> None:
    # A checkout shares the repository's objects: a reference keeps them when branches move on.
    subprocesses.run(["git", "-C", str(app.repo), "update-ref", f"refs/piku/{commit}", commit])


def failed(app: AppPaths, progress: Progress, error: PikuError) -> PikuError:
    """The error of a deploy that ended: where, why, and what runs now."""
    release = progress.record
    live = releases.live(app)
    if live is not None and live.release == release.number:
        # Past the commit point: the new release serves, and something after that went wrong.
        recovery.finish(app, release, releases.SUCCEEDED)
        return PikuError(
            f"v{release.number} is live, but not all was finished: {error.message}",
            hint="\n".join(filter(None, (error.hint, f"repair with: piku restart {app.name}"))),
            detail=error.detail,
        )  # fmt: skip
    if release.outcome == releases.PREPARED and release.kind == "config" and live is not None:
        releases.write_settings(app, releases.load_release(app, live.release).settings)
    recovery.finish(app, release, releases.FAILED, error.message)
    where = WORDS.get(release.step, release.step)
    return PikuError(
        f"v{release.number} failed at {where}: {error.message}",
        hint="\n".join(part for part in (error.hint, what_runs(app)) if part),
        detail=error.detail,
    )


def what_runs(app: AppPaths) -> str:
    """A sentence on what serves now."""
    live = releases.live(app)
    if live is None:
        return "nothing of this app runs yet"
    if not live.processes and not (live.site and live.site.static):
        return f"v{live.release} stays as it was, stopped"
    release = releases.load_release(app, live.release)
    name = f"v{live.release} ({release.commit[:8]})"
    if not emperor.is_running(Paths(root=app.root, home=app.root.parent)):
        return f"{name} stays the live one, and starts when piku does"
    return f"{name} still runs, as before"


def _report(job: Job) -> None:
    job.output.step(f"v{job.release.number} is live after {job.progress.summary()}")
    if job.plan.jobs:
        job.output.detail(
            f"Scheduled: {', '.join(job.plan.jobs)}; see when with: piku cron {job.app.name}"
        )
    live = releases.live(job.app)
    if live is None or not (job.plan.serving or "static" in job.source.procfile):
        return
    if job.plan.serving and not job.plan.instances:
        return
    names = settings.SERVER_NAME.read(job.values)
    if names:
        secure = settings.HTTPS_ONLY.read(job.values)
        job.output.detail(
            f"It answers at {service.platform(job.paths).url(names[0], secure=secure)}"
        )
        if state_module.state(job.app):
            job.output.warn(
                f"{job.app.name} is in maintenance: `piku maintenance:off {job.app.name}` ends it"
            )
        return
    where = next((process.address for process in live.processes if process.address), "")
    if where:
        job.output.detail(
            f"It listens on {where}, and nginx does not serve it yet: give it a name with"
        )
        job.output.detail(f"  piku config:set {job.app.name} NGINX_SERVER_NAME=www.example.com")
