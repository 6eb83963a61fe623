"""The runbook: what happens, in which order, when a release is made.

It ends with the new release live, or with the one before exactly as it was.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from piku import locks, procfs, subprocesses
from piku.app import settings
from piku.deploy import (
    build,
    checkout,
    cleanup,
    going_live,
    orphans,
    process_plan,
    recovery,
    releases,
    revision,
)  # fmt: skip
from piku.deploy.deployment import STEPS, Deployment, Progress
from piku.deploy.releases import BUILT, SUCCEEDED, Live, Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.extra import commands, hooks
from piku.nginx import service
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, housekeeping


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: a commit to deploy, with which of config:set's values, and by whom.

    `base` is a release whose build serves for this one as well, so that nothing is built or run.
    """

    kind: str
    description: str
    commit: str
    by: str
    own: Mapping[str, str] = field(default_factory=dict)
    base: Release | None = None
    allow_untracked: bool = False
    activate: bool = True


@contextlib.contextmanager
def locked(paths: Paths, app: AppPaths, what: str, output: Output) -> Iterator[None]:
    """Hold the app's lock, after repairing what an interrupted command left.

    A failure is shown here, where the app's secrets are known and its log is kept. A terminal that
    goes away does not end what has begun, and a request to end it undoes it first.
    """
    before = [signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGTERM, _end)]
    try:
        with locks.lock(
            app.lock, what, waiting=lambda who: output.step(f"Waiting for {who}"),
            patient=locks.patient,
        ) as killed:  # fmt: skip
            if not app.repo.is_dir():
                raise PikuError(f"the app {app.name!r} has been destroyed")
            recovery.recover(paths, app, killed=killed)
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
        raise failed(paths, app, progress, error) from error
    except BaseException as error:
        interrupted = isinstance(error, (SystemExit, KeyboardInterrupt))
        what = "it was interrupted" if interrupted else f"piku itself failed: {error!r:.200}"
        failed(paths, app, progress, PikuError(what))
        raise


def _make(
    paths: Paths, app: AppPaths, request: Request, progress: Progress, output: Output
) -> Release:
    title = f" {request.description!r}" if request.kind == "push" and request.description else ""
    number = progress.record.number
    output.step(f"Release v{number} of {app.name}: {request.commit[:8]}{title}")
    progress.at("read")
    require_platform(paths)
    found, base = _read(paths, app, request, number)
    if request.kind in ("push", "deploy") and (new := revision.initial(app, found)):
        output.detail(f"Kept with the settings of {app.name}: {', '.join(new)}")
        request = replace(request, own={**request.own, **new})
        releases.write_settings(app, request.own)
        progress.update(settings=request.own)
        found, base = _read(paths, app, request, number)
    progress.update(
        runtime=found.runtime.name,
        environment=found.environment,
        checkout=str(found.context.checkout.relative_to(app.releases)),
    )
    deployment = prepare(paths, app, found, releases.counts(app), output, progress)
    checks = [warning for hook in hooks("check") for warning in hook(deployment)]
    for warning in (*deployment.plan.warnings, *checks):
        output.warn(warning)
    going_live.refuse_conflicts(deployment)
    _keep_files(deployment, allow_untracked=request.allow_untracked)
    if base is None:
        _build(deployment)
    else:
        output.detail(
            f"Reusing the build of {base.checkout}: nothing that it depends on has changed"
        )
    waits = request.kind in ("push", "deploy") and not settings.AUTO_RESTART.read(found.values)
    if waits or not request.activate:
        output.step(f"v{number} is ready and waits: go live with `piku restart {app.name}`")
        return releases.finish(app, progress.record, BUILT)
    return go_live(deployment)


def _read(
    paths: Paths, app: AppPaths, request: Request, number: int
) -> tuple[Revision, Release | None]:
    """The commit, and the release whose build serves, unless other settings need another build."""
    base = request.base
    if base is not None:
        environment = base.environment if request.kind == "rollback" else None
        found = revision.read(
            paths, app, request.commit, request.own, checkout=base.checkout, environment=environment
        )
        same_folder = found.context.checkout == app.releases / base.checkout
        if found.environment == base.environment and same_folder and not build.missing(app, base):
            return found, base
    found = revision.read(paths, app, request.commit, request.own, checkout=f"v{number}")
    return found, None


def _keep_files(deployment: Deployment, *, allow_untracked: bool) -> None:
    """See to files that the live release wrote, before another checkout takes its place."""
    app, live = deployment.app, deployment.live
    if live is None or live.checkout == deployment.release.checkout:
        return
    for superseding in hooks("superseding"):
        superseding(deployment, live.checkout)
    if not allow_untracked:
        checkout.check_untracked(app, live.checkout)


def _build(deployment: Deployment) -> None:
    """Check the commit out and build what it needs, beside what is live."""
    app, progress, release = deployment.app, deployment.progress, deployment.release
    progress.at("checkout")
    # A checkout shares the repository's objects: a reference keeps them when branches move on.
    kept = f"refs/piku/{release.commit}"
    subprocesses.run(["git", "-C", str(app.repo), "update-ref", kept, release.commit])
    checkout.create(app, f"v{release.number}", release.commit)
    for prepare in hooks("prepare"):
        prepare(deployment)
    build.run_phase("preflight", deployment)
    progress.at("build")
    build.prepare_environment(deployment)
    build.compile_checkout(deployment)
    checkout.mark_built(app, release.checkout)


def go_live(deployment: Deployment) -> Release:
    """The release command, in a build of the release's own, then the switch."""
    app, progress, release = deployment.app, deployment.progress, deployment.release
    if release.has_own_code and deployment.revision.procfile.command("release"):
        build.run_phase("release", deployment)
        checkout.mark_built(app, release.checkout)
    live = going_live.activate(deployment)
    done = releases.finish(app, progress.record, SUCCEEDED)
    housekeeping.ask(deployment.paths)  # it may have looked before that was written
    for hook in hooks("deployed"):
        hook(deployment)
    keep = settings.KEEP_RELEASES.read(deployment.values)
    cleanup.prune(deployment.paths, app, keep, deployment.output.warn)
    _report(deployment, live)
    return done


def _report(deployment: Deployment, live: Live) -> None:
    """Say that the release is live, how long it took, and where it answers."""
    output, plan, app = deployment.output, deployment.plan, deployment.app
    output.step(f"v{deployment.release.number} is live after {deployment.progress.summary()}")
    if plan.jobs:
        when = f"; see when with: piku cron {app.name}" if "cron" in commands() else ""
        output.detail(f"Scheduled: {', '.join(plan.jobs)}{when}")
    serves = plan.instances if plan.serving else live.site and live.site.static
    address = next((process.address for process in live.processes if process.address), "")
    if serves and live.site is not None:
        output.detail(f"It answers at {service.url(deployment.paths, live.site)}")
    elif address:
        output.detail(f"It listens on {address}; nginx serves it once it has a host name:")
        output.detail(f"  piku config:set {app.name} NGINX_SERVER_NAME=www.example.com")


def prepare(
    paths: Paths, app: AppPaths, found: Revision, scaling: Mapping[str, int], output: Output,
    progress: Progress,
) -> Deployment:  # fmt: skip
    """The deployment of making, or of starting again, the release whose record `progress` has."""
    output.hide(found.values)
    live = releases.live(app)
    planned = process_plan.plan(
        found.procfile, found.values, scaling, memory_short=_memory_short(paths, app, live),
        elsewhere=any(engine(found.values) for engine in hooks("engine")), app=app.name,
    )  # fmt: skip
    return Deployment(
        paths=paths, app=app, live=live, release=progress.record, revision=found, plan=planned,
        output=output, progress=progress,
    )  # fmt: skip


def _memory_short(paths: Paths, app: AppPaths, live: Live | None) -> bool:
    """Whether what the live release takes would not fit a second time."""
    names = live.vassals(app.name) if live else []
    running = (emperor.observe(paths) or {}).items()
    taken = sum(procfs.tree_memory(state.pid) for name, state in running if name in names)
    return procfs.available_memory() < taken * 5 // 4


def require_platform(paths: Paths) -> None:
    """Raise PikuError unless processes can be started."""
    if not emperor.is_running(paths):
        hint = "start it there: `piku up`, or its system services"
        raise PikuError("piku is not running on this server: nothing can be started", hint=hint)


def failed(paths: Paths, app: AppPaths, progress: Progress, error: PikuError) -> PikuError:
    """The error of a deploy that ended: where, why, and what runs now."""
    release = progress.record
    orphans.end_builds(paths, app.name, release.number)
    if recovery.close(app, release, error.message):
        # Past the commit point: the new release serves, and something after that went wrong.
        what = f"v{release.number} is live, but not everything was finished: "
        return error.within(what, f"repair it with: piku restart {app.name}")
    if release.outcome == BUILT and release.kind == "config" and (live := releases.live(app)):
        releases.write_settings(app, releases.load_release(app, live.release).settings)
    housekeeping.ask(paths)  # extras may report it
    where = STEPS.get(release.step, release.step)
    return error.within(f"v{release.number} failed at {where}: ", recovery.what_runs(paths, app))
