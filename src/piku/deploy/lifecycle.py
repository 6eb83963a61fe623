"""What changes a running app without a push: settings, rollback, restart, scale and stop.

Each is done under the app's lock, and leaves either what was before or what was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from piku import files
from piku.app import settings
from piku.deploy import (
    build,
    deploy,
    process_plan,
    releases,
    revision,
    scale_down,
    scheduler,
    switch,
)
from piku.deploy.deploy import Request
from piku.deploy.deployment import Job
from piku.deploy.progress import Progress
from piku.deploy.releases import Activation, Process, Release
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.output import Output
from piku.paths import AppPaths, Paths


def change_settings(
    paths: Paths,
    app: AppPaths,
    change: Mapping[str, str | None],
    by: str,
    output: Output,
    *,
    restart: bool,
) -> None:
    """Set or (None) unset values, and make a release with them; one that fails leaves them as they were."""
    before = revision.own_settings(app)
    after = {key: value for key, value in {**before, **change}.items() if value is not None}
    if after == before:
        output.step("Nothing to change: the settings are as they were")
        return
    settings.check_all({key: value for key, value in change.items() if value is not None})
    names = ", ".join(change)
    description = f"{'unset' if all(value is None for value in change.values()) else 'set'} {names}"
    live = releases.live(app)
    if live is None:
        releases.write_settings(app, after)
        output.step(f"Kept for the first release: {description}")
        return
    # With a release waiting, the settings wait along with its code.
    waiting = _waiting(app)
    base = waiting or releases.load_release(app, live.release)
    request = Request(
        kind="config", description=description, commit=base.commit, by=by, own=after,
        leave_behind=True, activate=restart and not live.stopped and waiting is None,
    )  # fmt: skip
    deploy.deploy(paths, app, request, output)


def rollback(
    paths: Paths, app: AppPaths, number: int | None, by: str, output: Output, *, leave_behind: bool
) -> None:
    """Make a release with the code and the settings of an earlier one; nothing is built."""
    target = _rollback_target(app, number)
    request = Request(
        kind="rollback", description=f"rollback to v{target.number}", commit=target.commit, by=by,
        own=target.settings, leave_behind=leave_behind,
    )  # fmt: skip
    before = revision.own_settings(app)
    if dict(target.settings) != before:
        changed = sorted({*target.settings.items()} ^ {*before.items()})
        output.step(
            f"The settings go back as well: {', '.join(dict.fromkeys(key for key, _ in changed))}"
        )
    deploy.deploy(paths, app, request, output)


def _rollback_target(app: AppPaths, number: int | None) -> Release:
    live = releases.live(app)
    if live is None:
        raise PikuError(f"{app.name} has never been live, so there is nothing to go back to")
    usable = [
        release for release in releases.releases(app) if release.outcome == releases.SUCCEEDED
    ]
    if number is None:
        found = next((release for release in usable if release.number < live.release), None)
        if found is None:
            raise PikuError(
                f"v{live.release} is the first release of {app.name}: there is none before it"
            )
    else:
        found = releases.load_release(app, number)
        if number == live.release:
            raise PikuError(f"v{number} is live already")
        if not found.usable:
            raise PikuError(f"v{number} never ran ({found.outcome}), so it cannot be gone back to")
    if lost := build.lost(app, found):
        raise PikuError(
            f"the {lost} of v{found.number} is no longer kept",
            hint=f"push that commit again: git push piku {found.commit[:8]}:refs/heads/main --force",
        )
    return found


def restart(paths: Paths, app: AppPaths, output: Output) -> None:
    """Start the newest release that waits, or the live one afresh, without downtime."""
    live = releases.live(app)
    waiting = _waiting(app)
    if waiting is not None:
        deploy.require_platform(paths)
        progress = Progress(app, waiting)
        found = revision.read(paths, app, waiting.commit, waiting.settings)
        try:
            deploy.go_live(deploy.job_for(paths, app, found, deploy.counts(app), output, progress))
        except PikuError as error:
            raise deploy.failed(app, progress, error) from error
        return
    if live is None:
        raise PikuError(
            f"{app.name} has no release that could run", hint="push a working commit first"
        )
    job = _live_job(paths, app, live.release, deploy.counts(app), output)
    _reactivate(job)
    output.step(f"v{live.release} of {app.name} runs afresh")


def _waiting(app: AppPaths) -> Release | None:
    live = releases.live(app)
    newest = next((r for r in releases.releases(app) if r.outcome == releases.PREPARED), None)
    return newest if newest is not None and (live is None or newest.number > live.release) else None


def scale(paths: Paths, app: AppPaths, changes: Mapping[str, int], output: Output) -> None:
    """Change how many processes run; those that stay are not touched."""
    live = releases.live(app)
    if live is None:
        raise PikuError(
            f"{app.name} has no live release to scale", hint="push a working commit first"
        )
    if _is_fewer(live, changes):
        _have_fewer(paths, app, live, changes, output)
    else:
        _have_more(paths, app, live, changes, output)
    output.step(f"{app.name} has {', '.join(f'{kind}={count}' for kind, count in changes.items())}")


def _running(live: Activation) -> Counter[str]:
    return Counter(process.kind for process in live.processes if not process.schedules)


def _is_fewer(live: Activation, changes: Mapping[str, int]) -> bool:
    """Whether nothing is to run that does not run by now."""
    running = _running(live)
    return all(kind in running and count <= running[kind] for kind, count in changes.items())


def _have_fewer(
    paths: Paths, app: AppPaths, live: Activation, changes: Mapping[str, int], output: Output
) -> None:
    deploy.require_platform(paths)
    kept = [p for p in live.processes if p.kind not in changes or p.instance <= changes[p.kind]]
    counts = {**_running(live), **deploy.counts(app), **changes}
    scale_down.keep(paths, app, live, kept, output, counts=counts)


def _have_more(
    paths: Paths,
    app: AppPaths,
    live: Activation,
    changes: Mapping[str, int],
    output: Output,
) -> None:
    release = releases.load_release(app, live.release)
    found = revision.read(paths, app, release.commit, release.settings)
    wanted = process_plan.scaled(found.procfile, deploy.counts(app), changes)
    job = _live_job(paths, app, live.release, wanted, output)
    if live.stopped:
        files.write(app.scaling, process_plan.render_scaling(wanted), durable=True)
        return
    carried = [
        process for process in live.processes if process.instance <= wanted.get(process.kind, 1)
    ]
    _reactivate(replace(job, plan=replace(job.plan, counts=wanted)), carried)


def stop(paths: Paths, app: AppPaths, output: Output) -> None:
    """End every process and job of the app, after the requests they have begun; nginx answers 503 from
    then on."""
    live = releases.live(app)
    if live is None or live.stopped:
        scheduler.end(app, live.stop_timeout if live else 10)  # one that was run by hand
        output.step(f"{app.name} does not run")
        return
    deploy.require_platform(paths)
    scale_down.keep(paths, app, live, (), output, stopped=True)
    scheduler.end(app, live.stop_timeout)
    limits.clean(app, None)
    output.step(f"{app.name} is stopped; start it again with `piku restart {app.name}`")


def _live_job(
    paths: Paths, app: AppPaths, number: int, counts: Mapping[str, int], output: Output
) -> Job:
    """The job of starting the live release again."""
    deploy.require_platform(paths)
    release = releases.load_release(app, number)
    if lost := build.lost(app, release):
        raise PikuError(
            f"the {lost} of v{number}, which is live, is gone",
            hint=f"make it anew: piku deploy {app.name}",
        )
    found = revision.read(paths, app, release.commit, release.settings)
    return deploy.job_for(paths, app, found, counts, output, Progress(app, release))


def _reactivate(job: Job, carried: Sequence[Process] = ()) -> None:
    try:
        switch.activate(job, carried=carried)
    except PikuError as error:
        hint = "\n".join(part for part in (error.hint, deploy.what_runs(job.app)) if part)
        raise PikuError(error.message, hint=hint, detail=error.detail) from error
