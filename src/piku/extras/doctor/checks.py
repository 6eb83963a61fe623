"""The tables of checks, and running them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.doctor import access, apps, diagnosis, machine, names, services
from piku.extras.doctor.context import OK, PROBLEM, WARNING, Context, Finding, problem, warning
from piku.paths import AppPaths

Checks = Sequence[Callable[[Context], Iterable[Finding]]]
AppChecks = Sequence[Callable[[Context, AppPaths], Iterable[Finding]]]
Run = tuple[str, str, Callable[[], Iterable[Finding]]]  # an app or "", a check's name, the check


def extras(context: Context, app: AppPaths) -> Iterator[Finding]:
    """What other extras report: pairs of what and fix."""
    for hook in hooks("findings"):
        for what, fix in hook(context.paths, app):
            yield warning(what, fix)


# Whether this piku works here: what an update looks at.
SELF: Checks = (
    machine.programs, machine.folders, services.platform, services.configuration, services.ports,
)  # fmt: skip
SERVER: Checks = (
    *SELF, services.units, machine.disk, machine.memory, machine.clock, machine.ownership,
    access.keys,
)  # fmt: skip
APPS: AppChecks = (
    apps.last_release, apps.processes, apps.jobs, services.site, names.names, names.certificate,
    extras,
)  # fmt: skip
ONE_APP: AppChecks = (*APPS, diagnosis.visit)


def examine(
    context: Context, checks: Checks, app_checks: AppChecks, apps: Sequence[AppPaths]
) -> list[Finding]:
    """What the checks of the server and those of each app find, the worst first."""
    runs: list[Run] = [("", check.__name__, partial(check, context)) for check in checks]
    for app in apps:
        runs += [(app.name, one.__name__, partial(one, context, app)) for one in app_checks]
    # What keeps several checks from looking is one fault, reported once.
    found: dict[tuple[str, str], Finding] = {}
    for app_name, name, run in runs:
        for finding in _completed(run):
            one = replace(finding, app=app_name, check=name)
            found.setdefault((app_name, finding.what), one)
    return sorted(found.values(), key=lambda one: (PROBLEM, WARNING, OK).index(one.severity))


def _completed(run: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check; what stops it is one of them."""
    try:
        yield from run()
    except (PikuError, OSError) as error:
        yield problem(str(error), getattr(error, "hint", "") or "fix what this names")
