"""The command that says what is wrong, and what to do about it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.extras.doctor.checks import OK, PROBLEM, WARNING, Finding, Report, Scene
from piku.paths import Paths

_LABELS = {PROBLEM: "problem", WARNING: "warning", OK: "ok"}
_COLOURS = {PROBLEM: "31", WARNING: "33", OK: "32"}


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option(
    "--url",
    metavar="PATH|URL",
    help="What to ask APP for: /path, or a whole address; by default /.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show also what is well.")
@click.option(
    "--online",
    is_flag=True,
    help="Also ask others: names from outside, the clock of the authority.",
)
@click.option(
    "--self",
    "only_self",
    is_flag=True,
    help="Only whether this piku works here: quick, for updates.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def doctor(
    paths: Paths,
    app: str | None,
    url: str | None,
    verbose: bool,
    online: bool,
    only_self: bool,
    as_json: bool,
) -> int:
    """Report what is wrong with the server or APP, and how to fix it.

    With APP, it is asked through nginx by all its names, and a 502, a 404 or a redirect loop is explained.
    Nothing is changed, and without --online only this host and its name servers are asked. The exit code
    is 1 when there is a problem; warnings do not count.
    """
    from piku.extras.doctor import checks

    if only_self and online:
        raise PikuError(
            "--self asks nobody else: leave out --online", hint="see: piku doctor --help", code=2
        )
    if url and not app:
        raise PikuError(
            "--url needs the app that is to be asked", hint="piku doctor APP --url /path", code=2
        )
    # A client names the app of the checkout that it is called in.
    chosen = paths.existing(app) if app and not only_self else None
    scene = checks.Scene(paths=paths, only=chosen, url=url or "/", online=online)
    _check_url(scene)
    wanted = (
        checks.of_platform() if only_self else checks.of_app() if chosen else checks.of_server()
    )
    report = checks.examine(scene, wanted)
    if as_json:
        click.echo(json.dumps(_record(report), indent=1))
    else:
        for line in _lines(report, verbose=verbose):
            click.echo(line)
    return 1 if report.count(PROBLEM) else 0


def _check_url(scene: Scene) -> None:
    from piku.extras.doctor import asking

    if not scene.url.startswith("/") and asking.parsed(scene.url, scene.platform) is None:
        raise PikuError(
            f"{scene.url[:80]!r} is no address on this server",
            hint="give a path such as /login, or an address such as https://host/path",
            code=2,
        )


def _record(report: Report) -> dict[str, object]:
    return {
        "problems": report.count(PROBLEM),
        "warnings": report.count(WARNING),
        "seconds": round(report.seconds, 3),
        "findings": [asdict(finding) for finding in report.findings],
    }


def _lines(report: Report, *, verbose: bool) -> Iterator[str]:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for finding in report.findings:
        if verbose or finding.severity != OK:
            yield from _told(finding, coloured=coloured)
    yield f"{_sums(report)}: {report.checks} checks in {report.seconds:.1f} s"


def _told(finding: Finding, *, coloured: bool) -> Iterator[str]:
    label = f"{_LABELS[finding.severity]:<8}"
    if coloured:
        label = f"\x1b[{_COLOURS[finding.severity]}m{label}\x1b[0m"
    whose = f"{finding.app}: " if finding.app else ""
    yield f"{label} {whose}{_printable(finding.what)}"
    yield from (f"         | {_printable(line)}" for line in finding.detail)
    if finding.fix:
        yield f"         fix: {_printable(finding.fix)}"


def _printable(text: str) -> str:
    # An app's own words must not move the cursor of whoever reads them.
    return "".join(char if char.isprintable() or char == "\t" else "?" for char in text)


def _sums(report: Report) -> str:
    counts = [(report.count(PROBLEM), "problem"), (report.count(WARNING), "warning")]
    said = ", ".join(
        f"{count} {what}{'s' if count != 1 else ''}" for count, what in counts if count
    )
    return said or "all is well"
