"""Making a release: its checkout, its environment, and the commands the app runs before it is live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import effects
from piku.app import settings
from piku.deploy import checkout, environment
from piku.deploy.records import Release
from piku.deploy.source import Source
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths

_COMPLETE = ".piku-complete"


def is_built(app: AppPaths, name: str) -> bool:
    """Whether a dependency environment was built to its end."""
    return not name or (app.envs / name / _COMPLETE).exists()


def environments(app: AppPaths) -> Iterator[Path]:
    """The environments on disk, half-built ones too."""
    return (path for path in app.envs.glob("*-*") if path.is_dir())


def prepare_environment(
    paths: Paths, app: AppPaths, release: Release, source: Source, output: Output
) -> None:
    """Build what the release depends on, or find that nothing it depends on has changed."""
    runtime = source.runtime
    if is_built(app, source.environment):
        output.step(f"{runtime.title}")
        if source.environment:
            output.detail(f"Reusing {source.environment}: nothing that it depends on has changed")
        return
    output.step(f"{runtime.title}: building {source.environment}")
    folder = app.envs / source.environment
    effects.remove(folder)  # half-built by a deploy that was interrupted
    context = source.context(app)
    for folder_needed in (app.envs, app.cache):
        folder_needed.mkdir(parents=True, exist_ok=True)
    base = environment.variables(paths, app, release, source.values, runtime.env(context))
    try:
        for step in runtime.build(context):
            _run(step.argv, {**base, **step.env}, context.checkout, source.values, output)
        folder.mkdir(exist_ok=True)
        effects.write(folder / _COMPLETE, "")
    except BaseException:
        effects.remove(folder)
        raise


def run_phase(
    phase: str, paths: Paths, app: AppPaths, release: Release, source: Source, output: Output
) -> None:
    """Run the Procfile's `preflight` or `release` command in the new release; raises when it fails."""
    command = source.procfile.command(phase)
    if not command:
        return
    output.step(f"{phase.capitalize()}: {command}")
    context = source.context(app)
    variables = environment.variables(paths, app, release, source.values, source.runtime.env(context))
    try:
        _run(effects.shell(command), variables, context.checkout, source.values, output)
    except effects.ProgramFailed as error:
        raise PikuError(f"the {phase} command {_ending(error.status)}: {command}") from None


def _run(
    argv: tuple[str, ...] | list[str],
    variables: Mapping[str, str],
    cwd: Path,
    values: Mapping[str, str],
    output: Output,
) -> None:
    try:
        effects.stream(
            argv, cwd=cwd, env=variables, sink=output.detail, timeout=settings.BUILD_TIMEOUT.read(values)
        )
    except effects.ProgramFailed as error:
        if argv[0] == "bash":
            raise
        shown = " ".join(Path(part).name if part.startswith("/") else part for part in argv)
        raise PikuError(f"`{shown}` {_ending(error.status)}", hint="its own words are above") from None


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"


def prepare_checkout(app: AppPaths, source: Source) -> bool:
    """Check the commit out unless it stands built already; returns whether it was new."""
    if checkout.exists(app, source):
        return False
    checkout.create(app, source)
    checkout.link_persisted(app, app.releases / source.checkout, settings.PERSIST.read(source.values))
    return True
