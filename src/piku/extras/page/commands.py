"""The commands `piku page:on` and `page:off`."""

import secrets

import click

from piku import files, locks, subprocesses
from piku.app import settings
from piku.cli.common import caller, changing, own_command, own_environment, pass_paths
from piku.deploy import deploy, releases
from piku.errors import PikuError
from piku.extras.page import headers, view
from piku.operate import destroy
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.ssh import git, push


@click.command("page:on")
@click.argument("host")
@click.option("--user", default="piku", help="Who may see it (default: piku).")
@click.option("--app", "name", default="status-page", help="The name of the app that serves it.")
@pass_paths
def page_on(paths: Paths, host: str, user: str, name: str) -> None:
    """Show the server on a page at HOST, behind a password."""
    app = paths.app(AppName.parse(name))
    if there := headers.page(paths):
        raise PikuError(f"the app {there!r} is the page", hint="first: piku page:off")
    if app.repo.is_dir():
        raise PikuError(f"there is an app {name!r} already", hint="name another with --app")
    password = secrets.token_urlsafe(12)
    hashed = subprocesses.run(["openssl", "passwd", "-6", "-stdin"], stdin=password).strip()
    own = {
        settings.SERVER_NAME.name: host,
        settings.HTTPS_ONLY.name: "true",
        settings.STATIC_PATHS.name: f"/:{app.data}",
        "NGINX_BASIC_AUTH": f"{user}:{hashed}",
    }
    git.create_repository(app, own_command(), own_environment())
    files.write(headers.record(paths), f"{name}\n")
    try:
        with changing(paths, app, "making the page") as output:
            _deploy(paths, app, own, output)
    except PikuError:
        _remove(paths, app)
        raise
    click.echo(f"\nSign in as {user!r} with this password, which is not shown again: {password}")


def _deploy(paths: Paths, app: AppPaths, own: dict[str, str], output: Output) -> None:
    app.data.mkdir(parents=True, exist_ok=True)
    view.periodic(paths)
    commit = (
        "commit refs/heads/main\ncommitter piku <piku@localhost> now\n"
        "data <<END\nStatus page\nEND\n"
        "M 100644 inline Procfile\ndata <<END\nstatic: .\nEND\n"
    )
    importing = ["git", "-C", str(app.repo), "fast-import", "--quiet", "--date-format=now"]
    subprocesses.run(importing, stdin=commit)
    releases.write_settings(app, own)
    request = deploy.Request(
        kind="push", description="Status page", commit=push.tip(app, "main"), by=caller(), own=own
    )
    deploy.deploy(paths, app, request, output)


@click.command("page:off")
@pass_paths
def page_off(paths: Paths) -> None:
    """Remove the page."""
    name = headers.page(paths)
    if not name:
        raise PikuError("there is no page", hint="make one with: piku page:on HOST")
    _remove(paths, paths.app(AppName(name)))


def _remove(paths: Paths, app: AppPaths) -> None:
    with locks.lock(app.lock, "removing the page"):
        destroy.destroy(paths, app, Output())
