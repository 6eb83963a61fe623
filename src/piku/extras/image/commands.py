"""The command that makes images."""

import sys

import click

from piku.cli.common import app_argument, pass_paths, release_number
from piku.paths import AppPaths, Paths


@click.command()
@app_argument
@click.option("--release", metavar="N", help="The release; by default the live one.")
@click.option("--to", "destination", default="", metavar="PLACE", help="Where to copy it.")
@click.option("--new-base", is_flag=True, help="Rebuild the layer of Debian's packages.")
@pass_paths
def image(
    paths: Paths, app: AppPaths, release: str | None, destination: str, new_base: bool
) -> None:
    """Make an OCI image of a release, and print its reference.

    PLACE is oci:FOLDER, docker://REGISTRY/NAME:TAG, or FILE.tar for `docker load`.
    """
    from piku.deploy import releases, revision
    from piku.extras.image.image import make
    from piku.output import Output

    number = release_number(app, release) if release else releases.require_live(app).release
    record = releases.load_release(app, number)
    found = revision.of_release(paths, app, record)
    click.echo(make(paths, app, record, found, destination, Output(sys.stderr), anew=new_base))
