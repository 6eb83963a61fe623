"""The runbook: what happens, in which order, when a release is made or changed.

Every function here takes the app's lock, mends what an earlier command left half done, does its
work, and leaves either the release before or the new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from piku import effects
from piku.app import settings
from piku.deploy import build, checkout, plan, prune, records, repair, source, switch
from piku.deploy.progress import WORDS, Progress
from piku.deploy.records import Process, Release
from piku.deploy.source import Source, own_settings
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.serve import emperor, processes, webserver

__all__ = [
    "Request", "change_settings", "deploy", "locked", "own_settings", "restart", "rollback", "scale", "stop",
]  # fmt: skip


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
    """Hold the app's lock, with whatever an interrupted command left mended first."""
    with effects.lock(app.lock, what, waiting=lambda who: output.step(f"Waiting for {who}")):
        repair.recover(paths, app)
        yield


def deploy(paths: Paths, app: AppPaths, request: Request, output: Output) -> Release:
    """Make a release of a commit; the caller holds the app's lock. Raises PikuError when it fails,
    and then the release before still serves."""
    release = records.new_release(
        app, kind=request.kind, description=request.description, commit=request.commit,
        by=request.by, settings=dict(request.own),
    )  # fmt: skip
    progress = Progress(app, release)
    try:
        return _make(paths, app, request, progress, output)
    except PikuError as error:
        raise _failed(app, progress, error) from error
    except BaseException as error:
        _failed(app, progress, PikuError(f"piku itself failed: {type(error).__name__}"))
        raise


def _make(paths: Paths, app: AppPaths, request: Request, progress: Progress, output: Output) -> Release:
    release = progress.record
    title = f" {request.description!r}" if request.kind == "push" and request.description else ""
    output.step(f"Release v{release.number} of {app.name}: {request.commit[:8]}{title}")
    progress.at("read")
    _require_platform(paths)
    found = source.read(paths, app, request.commit, request.own)
    output.hide(found.values)
    planned = _plan(paths, app, found)
    for warning in planned.warnings:
        output.warn(warning)
    progress.update(runtime=found.runtime.name, environment=found.environment, checkout=found.checkout)
    _mind_files(app, found, request)

    progress.at("checkout")
    _keep_commit(app, request.commit)
    fresh = build.prepare_checkout(app, found)
    release = progress.record
    if fresh:
        progress.at("preflight")
        build.run_phase("preflight", paths, app, release, found, output)
    progress.at("build")
    build.prepare_environment(paths, app, release, found, output)
    if not request.activate or not settings.AUTO_RESTART.read(found.values):
        checkout.mark_built(app, found.checkout, found.environment)
        output.step(f"v{release.number} is ready and waits: go live with `piku restart {app.name}`")
        return records.finish(app, progress.record, records.PREPARED)
    return _go_live(paths, app, found, planned, progress, output)


def _go_live(
    paths: Paths, app: AppPaths, found: Source, planned: plan.Plan, progress: Progress, output: Output
) -> Release:
    """The release command, then the switch."""
    release = progress.record
    progress.at("release")
    if release.kind != "rollback":
        build.run_phase("release", paths, app, release, found, output)
    checkout.mark_built(app, found.checkout, found.environment)
    switch.activate(paths, app, release, found, planned, output, progress)
    done = records.finish(app, progress.record, records.SUCCEEDED)
    prune.prune(paths, app, settings.KEEP_RELEASES.read(found.values))
    _report(paths, app, found, planned, done, progress, output)
    return done


def _plan(paths: Paths, app: AppPaths, found: Source) -> plan.Plan:
    counts = plan.parse_scaling(effects.read(app.scaling))
    return plan.plan(found.procfile, found.values, counts, memory_short=_memory_short(paths, app))


def _memory_short(paths: Paths, app: AppPaths) -> bool:
    """Whether what the live release takes would not fit a second time."""
    live = records.live(app)
    names = live.vassals(app.name) if live else []
    states = emperor.statistics(paths) or {}
    pids = [state.pid for name, state in states.items() if name in names]
    if not pids:
        return False
    taken = sum(processes.memory(pid) for vassal in pids for pid in (vassal, *processes.descendants(vassal)))
    return processes.available_memory() < taken * 5 // 4


def _require_platform(paths: Paths) -> None:
    if not emperor.is_running(paths):
        raise PikuError(
            "piku is not running on this server, so nothing can be started",
            hint="start it there: `piku up`, or its system services",
        )


def _mind_files(app: AppPaths, found: Source, request: Request) -> None:
    """See to what the live release wrote beside its code before another checkout takes its place."""
    live = records.live(app)
    if live is None or live.checkout == found.checkout:
        return
    persisted = settings.PERSIST.read(found.values)
    if not request.leave_behind:
        checkout.refuse_to_hide(app, live.checkout, persisted)
    checkout.move_persisted(app, app.releases / live.checkout, persisted)


def _keep_commit(app: AppPaths, commit: str) -> None:
    # A checkout shares the repository's objects: a reference keeps them when branches move on.
    effects.run(["git", "-C", str(app.repo), "update-ref", f"refs/piku/{commit}", commit])


def _failed(app: AppPaths, progress: Progress, error: PikuError) -> PikuError:
    """The error of a deploy that ended: where, why, and what runs now."""
    release = progress.record
    live = records.live(app)
    if live is not None and live.release == release.number:
        # Past the commit point: the new release serves, and something after that went wrong.
        records.finish(app, release, records.SUCCEEDED)
        return PikuError(
            f"v{release.number} is live, but not all was finished: {error.message}",
            hint="\n".join(filter(None, (error.hint, f"repair with: piku restart {app.name}"))),
            detail=error.detail,
        )  # fmt: skip
    records.finish(app, release, records.FAILED, error.message)
    where = WORDS.get(release.step, release.step)
    return PikuError(
        f"v{release.number} failed at {where}: {error.message}",
        hint="\n".join(part for part in (error.hint, what_runs(app)) if part),
        detail=error.detail,
    )


def what_runs(app: AppPaths) -> str:
    """A sentence on what serves now."""
    live = records.live(app)
    if live is None:
        return "nothing of this app runs yet"
    if not live.processes and not (live.site and live.site.static_root):
        return f"v{live.release} stays as it was, stopped"
    release = records.load_release(app, live.release)
    return f"v{live.release} ({release.commit[:8]}) still runs, as before"


def _report(
    paths: Paths,
    app: AppPaths,
    found: Source,
    planned: plan.Plan,
    release: Release,
    progress: Progress,
    output: Output,
) -> None:
    output.step(f"v{release.number} is live after {progress.summary()}")
    live = records.live(app)
    if live is None or not (planned.serving or "static" in found.procfile):
        return
    names = settings.SERVER_NAME.read(found.values)
    if names:
        secure = settings.HTTPS_ONLY.read(found.values)
        output.detail(f"It answers at {webserver.platform(paths).url(names[0], secure=secure)}")
        return
    where = next((process.address for process in live.processes if process.address), "")
    if where:
        output.detail(f"It listens on {where}, and nginx does not serve it yet: give it a name with")
        output.detail(f"  piku config:set {app.name} NGINX_SERVER_NAME=www.example.com")


# --- other changes -------------------------------------------------------------------------------


def change_settings(
    paths: Paths, app: AppPaths, change: Mapping[str, str | None], by: str, output: Output, *, restart: bool
) -> None:
    """Set or (None) unset values, and make a release with them; a failure puts them back."""
    before = own_settings(app)
    after = {key: value for key, value in {**before, **change}.items() if value is not None}
    if after == before:
        output.step("Nothing to change: the settings are as they were")
        return
    settings.check_all({key: value for key, value in change.items() if value is not None})
    names = ", ".join(change)
    description = f"{'unset' if all(v is None for v in change.values()) else 'set'} {names}"
    live = records.live(app)
    _write_settings(app, after)
    if live is None:
        output.step(f"Kept for the first release: {description}")
        return
    commit = records.load_release(app, live.release).commit
    request = Request(
        kind="config", description=description, commit=commit, by=by, own=after, leave_behind=True,
        activate=restart and not live.stopped,
    )  # fmt: skip
    try:
        deploy(paths, app, request, output)
    except BaseException:
        now = records.live(app)
        if now is None or now.release == live.release:
            _write_settings(app, before)
        raise


def _write_settings(app: AppPaths, values: Mapping[str, str]) -> None:
    effects.write(app.settings, settings.render_literal(values), mode=0o600, durable=True)


def rollback(
    paths: Paths, app: AppPaths, number: int | None, by: str, output: Output, *, leave_behind: bool
) -> None:
    """Make a release with the code and the settings of an earlier one; nothing is built."""
    target = _rollback_target(app, number)
    request = Request(
        kind="rollback", description=f"rollback to v{target.number}", commit=target.commit, by=by,
        own=target.settings, leave_behind=leave_behind,
    )  # fmt: skip
    before = own_settings(app)
    if dict(target.settings) != before:
        changed = sorted({*target.settings.items()} ^ {*before.items()})
        output.step(f"The settings go back as well: {', '.join(dict.fromkeys(key for key, _ in changed))}")
    deploy(paths, app, request, output)
    _write_settings(app, target.settings)


def _rollback_target(app: AppPaths, number: int | None) -> Release:
    live = records.live(app)
    if live is None:
        raise PikuError(f"{app.name} has never been live, so there is nothing to go back to")
    usable = [release for release in records.releases(app) if release.outcome == records.SUCCEEDED]
    if number is None:
        found = next((release for release in usable if release.number < live.release), None)
        if found is None:
            raise PikuError(f"v{live.release} is the first release of {app.name}: there is none before it")
    else:
        found = records.load_release(app, number)
        if number == live.release:
            raise PikuError(f"v{number} is live already")
        if not found.usable:
            raise PikuError(f"v{number} never ran ({found.outcome}), so it cannot be gone back to")
    kept = (app.releases / found.checkout).is_dir() and build.is_built(app, found.environment)
    if not kept:
        raise PikuError(
            f"the code or environment of v{found.number} is no longer kept",
            hint=f"push that commit again: git push piku {found.commit[:8]}:refs/heads/main --force",
        )
    return found


def restart(paths: Paths, app: AppPaths, output: Output) -> None:
    """Start the newest release that waits, or the live one afresh, without downtime."""
    live = records.live(app)
    waiting = _waiting(app)
    if waiting is not None:
        progress = Progress(app, waiting)
        found = source.read(paths, app, waiting.commit, waiting.settings)
        output.hide(found.values)
        try:
            _go_live(paths, app, found, _plan(paths, app, found), progress, output)
        except PikuError as error:
            raise _failed(app, progress, error) from error
        return
    if live is None:
        raise PikuError(f"{app.name} has no release that could run", hint="push a working commit first")
    _reactivate(paths, app, plan.parse_scaling(effects.read(app.scaling)), (), output)
    output.step(f"v{live.release} of {app.name} runs afresh")


def _waiting(app: AppPaths) -> Release | None:
    live = records.live(app)
    newest = next((r for r in records.releases(app) if r.outcome == records.PREPARED), None)
    return newest if newest is not None and (live is None or newest.number > live.release) else None


def scale(paths: Paths, app: AppPaths, changes: Mapping[str, int], output: Output) -> None:
    """Change how many processes run; those that stay are not touched."""
    live = records.live(app)
    if live is None:
        raise PikuError(f"{app.name} has no live release to scale", hint="push a working commit first")
    release = records.load_release(app, live.release)
    found = source.read(paths, app, release.commit, release.settings)
    counts = plan.scaled(found.procfile, plan.parse_scaling(effects.read(app.scaling)), changes)
    if not live.stopped:
        carried = [process for process in live.processes if process.instance <= counts.get(process.kind, 1)]
        _reactivate(paths, app, counts, carried, output)
    effects.write(app.scaling, plan.render_scaling(counts), durable=True)
    output.step(f"{app.name} has {', '.join(f'{kind}={counts[kind]}' for kind in changes)}")


def stop(paths: Paths, app: AppPaths, output: Output) -> None:
    """End every process of the app, after the requests they have begun; nginx answers 503 from then on."""
    live = records.live(app)
    if live is None or live.stopped:
        output.step(f"{app.name} does not run")
        return
    _reactivate(paths, app, {}, (), output, stopped=True)
    left = emperor.wait_gone(paths, live.vassals(app.name), live.stop_timeout + 10)
    if left:
        raise PikuError(f"{', '.join(sorted(name.worker for name in left))} of {app.name} did not stop")
    output.step(f"{app.name} is stopped; start it again with `piku restart {app.name}`")


def _reactivate(
    paths: Paths, app: AppPaths, counts: Mapping[str, int], carried: Sequence[Process], output: Output,
    *, stopped: bool = False,
) -> None:  # fmt: skip
    """Another activation of the live release."""
    _require_platform(paths)
    live = records.live(app)
    assert live is not None
    release = records.load_release(app, live.release)
    found = source.read(paths, app, release.commit, release.settings)
    output.hide(found.values)
    planned = plan.plan(found.procfile, found.values, counts, memory_short=_memory_short(paths, app))
    planned = planned.stopped() if stopped else planned
    try:
        switch.activate(
            paths, app, release, found, planned, output, Progress(app), carried=carried, stopped=stopped
        )
    except PikuError as error:
        hint = "\n".join(part for part in (error.hint, what_runs(app)) if part)
        raise PikuError(error.message, hint=hint, detail=error.detail) from error
