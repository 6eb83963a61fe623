"""Makes the folder of a static line, where the commit has none and no release command makes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from piku import subprocesses
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.sites import generators
from piku.extras.sites.generators import Generator
from piku.runtimes.base import Run


def steps(deployment: Deployment) -> Iterator[Run]:
    """The programs that make it: the next one only if the one before did not."""
    procfile, context = deployment.revision.procfile, deployment.context
    folder = procfile.command("static").rstrip("/")
    if not folder or ":" in folder or "release" in procfile:
        return
    place, before = context.checkout / folder, _folders(context.checkout)
    ran: list[str] = []
    for row in generators.of(context, deployment.revision.runtime.name):
        if place.exists():
            return
        argv = row.program(context, folder)
        _require(deployment, row, argv[0])
        deployment.output.step(f"{row.name}: {' '.join(argv)}")
        yield Run(argv=argv, env=row.variables(context))
        ran.append(" ".join(argv))
    if ran and not place.exists():
        raise _made_another(folder, ran, sorted(_folders(context.checkout) - before))


def _require(deployment: Deployment, row: Generator, program: str) -> None:
    if subprocesses.which(program, deployment.variables()["PATH"]) is None:
        raise PikuError(
            f"the site is made by {row.name}, and there is no program {program!r}",
            hint=row.install,
        )


def _made_another(folder: str, ran: Sequence[str], made: Sequence[str]) -> PikuError:
    hint = f"it made {', '.join(made)}; " if made else ""
    return PikuError(
        f"`{ran[-1]}` made no folder {folder!r}, which the static line names",
        hint=f"{hint}write into the Procfile: static: {made[0] if made else 'FOLDER'}",
    )


def _folders(checkout: Path) -> set[str]:
    return {path.name for path in checkout.iterdir() if path.is_dir() and not path.is_symlink()}
