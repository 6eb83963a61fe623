"""The command that makes a webhook and takes it away."""

import secrets
import sys

import click

from piku import files, records
from piku.cli.common import app_argument, pass_paths
from piku.deploy import live_sites, releases
from piku.errors import PikuError
from piku.extras.webhook import state
from piku.nginx import service
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command()
@app_argument
@click.option("--off", is_flag=True, help="Remove it, and its secret.")
@pass_paths
def webhook(paths: Paths, app: AppPaths, off: bool) -> None:
    """Deploy on each push to the app's source repository; prints how to set it up."""
    output = Output(sys.stdout)
    if off:
        files.remove(state.record(app))
        live_sites.update(paths)
        output.step(f"{app.name} has no webhook")
        return
    wanted, live = state.source(app), releases.require_live(app)
    if live.site is None:
        hint = f"give it a host name: piku config:set {app.name} NGINX_SERVER_NAME=www.example.com"
        raise PikuError(f"nginx does not serve {app.name}", hint=hint)
    hook = records.load(state.record(app), state.Webhook)
    if hook is None:
        hook = state.Webhook(secret=secrets.token_urlsafe(30))
        records.save(state.record(app), hook)
        live_sites.update(paths)
    output.step(f"A push to {wanted.ref} deploys {app.name}, once {wanted.url} has these:")
    url = service.platform(paths).url(live.site.names[0], secure=True)
    output.detail(f"URL:    {url}{state.PATH}")
    output.detail(f"Secret: {hook.secret}")
    output.detail("GitHub: Settings, Webhooks, with the content type application/json.")
    output.detail("GitLab: Settings, Webhooks, where the secret is called a token.")
