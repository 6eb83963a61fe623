"""What a deploy would change, found without changing anything."""

from collections.abc import Iterator, Mapping

from piku import dotenv
from piku.deploy import build, process_plan, releases, revision
from piku.output import MASK, is_secret
from piku.paths import AppPaths, Paths


def lines(paths: Paths, app: AppPaths, commit: str) -> Iterator[str]:
    """One line for each thing that a deploy of this commit would do."""
    live = releases.live(app)
    before = releases.load_release(app, live.release) if live else None
    own = dotenv.load(app.settings)
    found = revision.read(paths, app, commit, own, checkout="next")
    if new := revision.initial(app, found):
        own |= new
        found = revision.read(paths, app, commit, own, checkout="next")
    counts = releases.counts(app)
    planned = process_plan.plan(found.procfile, found.values, counts, app=app.name)
    old = f"v{before.number} ({before.commit[:8]})" if before else "nothing"
    yield f"code:        {old} -> {commit[:8]}"
    yield f"runtime:     {found.runtime.title}"
    if found.environment:
        reuse = "reused" if build.is_built(app, found.environment) else "would be built"
        yield f"environment: {found.environment}, {reuse}"
    for phase in ("preflight", "release"):
        if phase in found.procfile:
            yield f"{phase + ':':<12} {found.procfile.command(phase)}"
    processes = [(planned.serving, planned.instances), *planned.workers]
    counted = ", ".join(f"{kind}={count}" for kind, count in processes if kind)
    yield f"processes:   {counted or 'none'}"
    if planned.jobs:
        yield f"scheduled:   {', '.join(planned.jobs)}"
    switch = (
        f"the old release stops first: {planned.no_overlap_reason}"
        if planned.no_overlap_reason
        else "without downtime"
    )
    yield f"switch:      {switch}"
    yield from _settings(own, before)
    for warning in planned.warnings:
        yield f"warning:     {warning}"


def _settings(own: Mapping[str, str], before: releases.Release | None) -> Iterator[str]:
    old = before.settings if before else {}
    for key in sorted({*old, *own}):
        if old.get(key) == own.get(key):
            continue
        shown = own.get(key, "(unset)")
        yield f"setting:     {key}={MASK if is_secret(key, shown) and key in own else shown}"
