"""The command `piku doctor`."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict

import click

from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.extras.doctor.context import OK, PROBLEM, WARNING, Finding
from piku.output import printable
from piku.paths import Paths

_COLOURS = {PROBLEM: "red", WARNING: "yellow", OK: "green"}


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option("--url", metavar="PATH|URL", help="What to request from APP; by default /.")
@click.option("-v", "--verbose", is_flag=True, help="Also show what is fine.")
@click.option("--self", "only_self", is_flag=True, help="Only check that this piku works here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@pass_paths
def doctor(
    paths: Paths, app: str | None, url: str | None, verbose: bool, only_self: bool, as_json: bool
) -> int:
    """Report what is wrong with the server or APP, and how to fix it.

    With APP, it is requested through nginx under all its names, and a 502, a 404 or a redirect loop
    is explained. Nothing is changed. The exit code is 1 if there is a problem, else 0.
    """
    from piku.extras.doctor import checks
    from piku.extras.doctor.context import Context

    if url and not app:
        raise PikuError("--url needs an app", hint="piku doctor APP --url /path", code=2)
    if url and not re.match(r"/|https?://[\w.-]+(:\d+)?(/|$)", url):
        raise PikuError(f"{url[:80]!r} is neither a path nor an address of this server", code=2)
    context = Context(paths=paths, url=url or "/")
    apps = [paths.app(name) for name in paths.app_names()]
    server, of_apps = checks.SERVER, checks.ONE_APP if app else checks.APPS
    if only_self:  # a client adds the app of the checkout that it is called in
        server, apps = checks.SELF, []
    elif app:
        apps = [paths.existing(app)]
    findings = checks.examine(context, server, of_apps, apps)
    count = {kind: sum(one.severity == kind for one in findings) for kind in (PROBLEM, WARNING)}
    if as_json:
        totals = {f"{kind}s": number for kind, number in count.items()}
        click.echo(json.dumps({**totals, "findings": [asdict(one) for one in findings]}, indent=1))
    else:
        for one in findings:
            if verbose or one.severity != OK:
                click.echo("\n".join(_lines(one)))
        counts = [f"{n} {kind}{'s' * (n > 1)}" for kind, n in count.items() if n]
        click.echo(", ".join(counts) or "all is well")
    return 1 if count[PROBLEM] else 0


def _lines(finding: Finding) -> Iterator[str]:
    # click leaves the colour out where the output is no terminal.
    colour = None if os.environ.get("NO_COLOR") else _COLOURS[finding.severity]
    label = click.style(f"{finding.severity:<8}", fg=colour)
    app = f"{finding.app}: " if finding.app else ""
    yield printable(f"{label} {app}{finding.what}")
    yield from (printable(f"         | {line}") for line in finding.detail)
    if finding.fix:
        yield printable(f"         fix: {finding.fix}")
