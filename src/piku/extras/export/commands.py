"""The command that writes files for other engines."""

import sys

import click

from piku.cli.common import app_argument, pass_paths
from piku.errors import PikuError
from piku.paths import AppPaths, Paths


@click.command()
@app_argument
@click.option(
    "--to", "engine", required=True, type=click.Choice(("compose", "kubernetes")), help="Which one."
)
@click.option("--image", default="", metavar="NAME", help="docker://REGISTRY/NAME:TAG, or a name.")
@pass_paths
def export(paths: Paths, app: AppPaths, engine: str, image: str) -> None:
    """Print files with which another engine runs the live release.

    With --image docker://REGISTRY/NAME:TAG the image is made and sent there; any other NAME is
    written as it is. The files contain the app's settings.
    """
    from piku.deploy import releases
    from piku.extra import hooks
    from piku.extras.export import compose, kubernetes, yaml
    from piku.extras.export.app import App
    from piku.operate.run import live_source
    from piku.output import Output

    _, release, found = live_source(paths, app)
    output = Output(sys.stderr)
    # As `docker load` calls what `piku image APP --to FILE.tar` has written.
    name = image or f"{app.name.label}:v{release.number}"
    if image.startswith("docker://"):
        made = [make(paths, app, release, found, image, output) for make in hooks("image")]
        if not made:
            raise PikuError("this server makes no images", hint="it has no extra that does")
        name = made[0]
    data = str(app.data) if app.data.is_dir() and any(app.data.iterdir()) else ""
    facts = App(
        name=app.name, release=release.number, image=name, procfile=found.procfile,
        values=found.values, counts=releases.counts(app), data=data,
    )  # fmt: skip
    facts.check()
    module = compose if engine == "compose" else kubernetes
    for warning in (*facts.warnings(), *module.warnings(facts)):
        output.warn(warning)
    click.echo(
        "---\n".join(yaml.render(document) for document in module.documents(facts)), nl=False
    )
