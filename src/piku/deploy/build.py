"""Building a release: its environment, and the commands that the app runs before it is live."""

import re
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from piku import files, procfs, subprocesses
from piku.app import settings
from piku.deploy import orphans
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths
from piku.runtimes.base import Run, how_to_install

_HALF_BUILT = ".building"


def is_built(app: AppPaths, name: str) -> bool:
    """Whether a dependency environment is there, built to its end, with the Python it is for."""
    python = app.envs / name / "bin" / "python"
    gone = python.is_symlink() and not python.exists()
    return not name or ((app.envs / name).is_dir() and not _marker(app, name).exists() and not gone)


def missing(app: AppPaths, release: Release) -> str:
    """Which part of a release that was built once is gone: "code", "environment" or nothing."""
    if not (app.releases / release.checkout).is_dir():
        return "code"
    return "" if is_built(app, release.environment) else "environment"


def remove_half_built(app: AppPaths) -> None:
    """Remove the environments that a killed deploy did not finish."""
    for marker in app.envs.glob(f"*{_HALF_BUILT}"):
        files.discard([marker.with_suffix(""), marker])


def _marker(app: AppPaths, name: str) -> Path:
    return app.envs / f"{name}{_HALF_BUILT}"


def prepare_environment(deployment: Deployment) -> None:
    """Build what the release depends on, or find that nothing it depends on has changed."""
    app, runtime = deployment.app, deployment.revision.runtime
    name = deployment.release.environment
    if is_built(app, name):
        deployment.output.step(runtime.title)
        if name:
            deployment.output.detail(f"Reusing {name}: nothing that it depends on has changed")
        return
    deployment.output.step(f"{runtime.title}: building {name}")
    folder = app.envs / name
    app.cache.mkdir(parents=True, exist_ok=True)
    files.write(_marker(app, name), "", durable=True)
    files.remove(folder)
    try:
        for step in runtime.build(deployment.context):
            _step(deployment, step)
        folder.mkdir(exist_ok=True)
        with files.syncing(folder):
            pass
    except BaseException:
        remove_half_built(app)
        raise
    files.remove(_marker(app, name))


def compile_checkout(deployment: Deployment) -> None:
    """Make in a fresh checkout what its runtime makes there, such as the program itself."""
    more = (step for hook in hooks("compile") for step in hook(deployment))
    for step in chain(deployment.revision.runtime.compile(deployment.context), more):
        _step(deployment, step)


def run_phase(phase: str, deployment: Deployment, command: str = "") -> None:
    """Run a command in the new checkout, by default the Procfile's; raises when it fails."""
    command = command or deployment.revision.procfile.command(phase)
    if not command:
        return
    deployment.progress.at(phase)
    deployment.output.step(f"{phase.capitalize()}: {command}")
    try:
        _run(deployment, Run(argv=tuple(subprocesses.shell(command))))
    except subprocesses.ProgramFailed as error:
        raise PikuError(f"the {phase} command {error.how}: {command}") from None


def _step(deployment: Deployment, step: Run) -> None:
    if step.say:
        deployment.output.detail(step.say)
    try:
        _run(deployment, step)
    except PikuError as error:
        if not step.optional:
            raise
        deployment.output.detail(error.message)


def _run(deployment: Deployment, step: Run) -> None:
    argv = step.argv
    mark = orphans.build_mark(deployment.app.name, deployment.release.number)
    variables = {**deployment.variables(), **step.env, procfs.MARK: mark}
    if subprocesses.which(argv[0], variables["PATH"]) is None:
        hint = f"install with: {how_to_install([argv[0]])}"
        raise PikuError(f"the program {argv[0]!r} is not installed", hint=hint)
    try:
        with ExitStack() as stack:
            how: dict[str, Any] = {"argv": argv, "env": variables, "sink": deployment.output.detail}
            for hook in hooks("around"):
                how = stack.enter_context(hook(deployment, step, how))
            subprocesses.stream(
                cwd=step.cwd or deployment.checkout,
                timeout=settings.BUILD_TIMEOUT.read(deployment.values), **how,
            )  # fmt: skip
    except subprocesses.ProgramFailed as error:
        if argv[0] == "bash":
            raise
        for explain in hooks("explain"):
            if reason := explain(deployment, error.output):
                raise reason from None
        shown = " ".join(re.sub(r"(?:^|(?<==))/.*/", "", part) for part in argv)
        raise PikuError(f"`{shown}` {error.how}", hint=step.hint) from None
