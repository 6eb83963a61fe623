"""What changes a running app without a push: settings, rollback, restart, scale and stop.

Each happens under the app's lock, and leaves either what was before or what was asked for.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from piku import dotenv
from piku.app import settings
from piku.deploy import (
    build,
    deploy,
    going_live,
    process_plan,
    reconcile,
    recovery,
    releases,
    revision,
    scheduler,
)  # fmt: skip
from piku.deploy.deploy import Request
from piku.deploy.deployment import Deployment, Progress
from piku.deploy.releases import Live, Process, Release
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths


def change_settings(
    paths: Paths, app: AppPaths, change: Mapping[str, str | None], by: str, output: Output, *,
    restart: bool,
) -> None:  # fmt: skip
    """Set or (None) unset checked values, and make a release with them; one that fails leaves them
    as they were."""
    before = dotenv.load(app.settings)
    after = {key: value for key, value in {**before, **change}.items() if value is not None}
    if after == before:
        output.step("Nothing to change: the settings are as they were")
        return
    unset = all(value is None for value in change.values())
    description = f"{'unset' if unset else 'set'} {', '.join(change)}"
    live = releases.live(app)
    if live is None:
        releases.write_settings(app, after)
        output.step(f"Kept for the first release: {description}")
        return
    # While a release waits, the settings wait along with its code.
    waiting = _waiting(app, live)
    base = waiting or releases.load_release(app, live.release)
    request = Request(
        kind="config", description=description, commit=base.commit, by=by, own=after, base=base,
        activate=restart and not live.stopped and waiting is None,
    )  # fmt: skip
    deploy.deploy(paths, app, request, output)


def rollback(
    paths: Paths, app: AppPaths, number: int | None, by: str, output: Output, *,
    allow_untracked: bool,
) -> None:  # fmt: skip
    """Make a release with the code and the settings of an earlier one; nothing is built. What the
    server's owner decides stays: walls and limits (docs/adr/0047-rollback.md)."""
    target, now = _rollback_target(app, number), dotenv.load(app.settings)
    table = settings.table().values()
    stays = {one.name for one in table if one.stays or not one.repository}
    own = {name: value for name, value in target.settings.items() if name not in stays}
    own |= {name: value for name, value in now.items() if name in stays}
    request = Request(
        kind="rollback", description=f"rollback to v{target.number}", commit=target.commit, by=by,
        own=own, base=target, allow_untracked=allow_untracked,
    )  # fmt: skip
    live = releases.load_release(app, releases.require_live(app).release)
    output.step(f"Rolling {app.name} back from {live.title} to {target.title}")
    for said, new in (("go back as well", now), ("stay as they are", target.settings)):
        if changed := dict(sorted({*own.items()} ^ {*new.items()})):
            output.step(f"These settings {said}: {', '.join(changed)}")
    deploy.deploy(paths, app, request, output)


def _rollback_target(app: AppPaths, number: int | None) -> Release:
    live = releases.require_live(app)
    if number is None:
        earlier = (r for r in releases.releases(app) if r.number < live.release)
        found = next((r for r in earlier if r.outcome == releases.SUCCEEDED), None)
        if found is None:
            raise PikuError(f"v{live.release} is the first release of {app.name}")
    else:
        found = releases.load_release(app, number)
        if number == live.release:
            raise PikuError(f"v{number} is already live")
        if not found.usable:
            raise PikuError(f"v{number} never ran ({found.outcome}): nothing to go back to")
    if part := build.missing(app, found):
        hint = f"push that commit again: git push -f piku {found.commit[:8]}:refs/heads/main"
        raise PikuError(f"the {part} of v{found.number} is no longer kept", hint=hint)
    return found


def restart(paths: Paths, app: AppPaths, output: Output) -> None:
    """Start the newest release that waits, or the live one anew, without downtime."""
    waiting = _waiting(app, releases.live(app))
    if waiting is not None:
        deployment = _deployment(paths, app, waiting, releases.counts(app), output)
        try:
            deploy.go_live(deployment)
        except PikuError as error:
            raise deploy.failed(paths, app, deployment.progress, error) from error
        return
    live = releases.require_live(app)
    release = releases.load_release(app, live.release)
    _start_again(_deployment(paths, app, release, releases.counts(app), output))
    output.step(f"v{live.release} of {app.name} was restarted")


def _waiting(app: AppPaths, live: Live | None) -> Release | None:
    since = live.release if live else 0
    later = itertools.takewhile(lambda release: release.number > since, releases.releases(app))
    return next((release for release in later if release.outcome == releases.BUILT), None)


def scale(paths: Paths, app: AppPaths, changes: Mapping[str, int], output: Output) -> None:
    """Change how many processes run; those that stay are not touched."""
    done = f"{app.name} has {', '.join(f'{kind}={n}' for kind, n in changes.items())}"
    live = releases.live(app)
    if live is None:  # which types there are, nobody knows before the first push
        counts = {**releases.counts(app), **changes}
        releases.write_counts(app, counts)
        output.step(f"{done} from its first release on")
        return
    release = releases.load_release(app, live.release)
    found = revision.of_release(paths, app, release)
    counts = process_plan.scaled(found.procfile, releases.counts(app), changes)
    if live.stopped:
        releases.write_counts(app, counts)
    else:
        deployment = _deployment(paths, app, release, counts, output)
        kept = [p for p in live.processes if p.instance <= counts.get(p.kind, 1)]
        # An engine spreads what starts together.
        reused = [p for p in kept if not (p.elsewhere and p.kind in changes)]
        plan = replace(deployment.plan, counts=counts)
        _start_again(replace(deployment, plan=plan), reused)
    output.step(done)
    if later := [kind for kind in changes if kind not in found.procfile]:
        output.detail(f"The Procfile has no {' or '.join(later)} yet: kept for a later release")


def stop(paths: Paths, app: AppPaths, output: Output) -> None:
    """End every process and job of the app, after the requests they have begun; nginx answers 503
    from then on."""
    live = releases.live(app)
    if live is None or live.stopped:
        scheduler.end(app, live.stop_timeout if live else 10)  # one that was run by hand
        output.step(f"{app.name} does not run")
        return
    deploy.require_platform(paths)
    new = replace(
        live,
        processes=(),
        draining=reconcile.draining(live, live.processes),
        site=replace(live.site, upstreams=()) if live.site else None,
        stopped=True,
        counts=None,
    )
    releases.commit(app, new)
    reconcile.reconcile(paths, app, say=output.detail, wait_stopped=True)
    scheduler.end(app, live.stop_timeout)
    output.step(f"{app.name} is stopped; start it again with `piku restart {app.name}`")


def _deployment(
    paths: Paths, app: AppPaths, release: Release, counts: Mapping[str, int], output: Output
) -> Deployment:
    """The deployment of starting a release that was built before."""
    if part := build.missing(app, release):
        hint = f"rebuild it: piku deploy {app.name}"
        raise PikuError(f"the {part} of v{release.number} is missing", hint=hint)
    deploy.require_platform(paths)
    found = revision.of_release(paths, app, release)
    return deploy.prepare(paths, app, found, counts, output, Progress(app, release))


def _start_again(deployment: Deployment, reused: Sequence[Process] = ()) -> None:
    try:
        going_live.activate(deployment, reused=reused)
    except PikuError as error:
        runs = recovery.what_runs(deployment.paths, deployment.app)
        raise error.within("", runs) from error
