"""Making a release: its checkout, its environment, and the commands the app runs before it is live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.app import settings
from piku.deploy import checkout, persist
from piku.deploy.deployment import Job
from piku.deploy.releases import Release
from piku.deploy.revision import Source
from piku.errors import PikuError
from piku.paths import AppPaths
from piku.runtimes.base import Run, how_to_install

_COMPLETE = ".piku-complete"


def is_built(app: AppPaths, name: str) -> bool:
    """Whether a dependency environment was built to its end."""
    return not name or (app.envs / name / _COMPLETE).exists()


def lost(app: AppPaths, release: Release) -> str:
    """Which part of a release that was once built is not here any more: "code", "environment" or none."""
    if not (app.releases / release.checkout).is_dir():
        return "code"
    return "" if is_built(app, release.environment) else "environment"


def environments(app: AppPaths) -> Iterator[Path]:
    """The environments on disk, half-built ones too."""
    return (path for path in app.envs.glob("*-*") if path.is_dir())


def prepare_environment(job: Job) -> None:
    """Build what the release depends on, or find that nothing it depends on has changed."""
    runtime, name = job.source.runtime, job.source.environment
    if is_built(job.app, name):
        job.output.step(runtime.title)
        if name:
            job.output.detail(f"Reusing {name}: nothing that it depends on has changed")
        return
    job.output.step(f"{runtime.title}: building {name}")
    folder = job.app.envs / name
    files.remove(folder)  # half-built by a deploy that was interrupted
    for needed in (job.app.envs, job.app.cache):
        needed.mkdir(parents=True, exist_ok=True)
    variables = job.variables()
    try:
        for step in runtime.build(job.context):
            _step(job, step, variables)
        folder.mkdir(exist_ok=True)
        files.write(folder / _COMPLETE, "")
    except BaseException:
        files.remove(folder)
        raise


def run_phase(phase: str, job: Job) -> None:
    """Run the Procfile's `preflight` or `release` command in the new release; raises when it fails."""
    command = job.source.procfile.command(phase)
    if not command:
        return
    job.output.step(f"{phase.capitalize()}: {command}")
    try:
        _run(job, subprocesses.shell(command), job.variables())
    except subprocesses.ProgramFailed as error:
        raise PikuError(f"the {phase} command {_ending(error.status)}: {command}") from None


def compile_checkout(job: Job) -> None:
    """Make in a fresh checkout what its runtime has made there, such as the program itself."""
    variables = job.variables()
    for step in job.source.runtime.compile(job.context):
        _step(job, step, variables)


def _step(job: Job, step: Run, variables: Mapping[str, str]) -> None:
    if step.say:
        job.output.detail(step.say)
    own = {**variables, **step.env}
    if not step.optional:
        _run(job, step.argv, own, step.cwd)
        return
    said: list[str] = []
    try:
        _run(job, step.argv, own, step.cwd, said.append)
    except PikuError as error:
        job.output.detail(f"{error.message}: {said[-1] if said else 'it said nothing'}")


def _run(
    job: Job,
    argv: Sequence[str],
    variables: Mapping[str, str],
    cwd: Path | None = None,
    sink: Callable[[str], None] | None = None,
) -> None:
    if subprocesses.which(argv[0], variables["PATH"]) is None:
        raise PikuError(
            f"the program {argv[0]!r} is not installed",
            hint=f"install with: {how_to_install([argv[0]])}",
        )
    try:
        timeout = settings.BUILD_TIMEOUT.read(job.values)
        subprocesses.stream(
            argv,
            cwd=cwd or job.checkout,
            env=variables,
            sink=sink or job.output.detail,
            timeout=timeout,
        )
    except subprocesses.ProgramFailed as error:
        if argv[0] == "bash":
            raise
        shown = " ".join(re.sub(r"(?:^|(?<==))/.*/", "", part) for part in argv)
        raise PikuError(
            f"`{shown}` {_ending(error.status)}", hint="its own words are above"
        ) from None


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"


def prepare_checkout(app: AppPaths, source: Source) -> bool:
    """Check the commit out unless it stands built already; returns whether it was new."""
    app.data.mkdir(
        parents=True, exist_ok=True
    )  # the commands before the first start know it already
    if checkout.exists(app, source):
        return False
    checkout.create(app, source)
    persist.link(app, app.releases / source.checkout, settings.PERSIST.read(source.values))
    return True
