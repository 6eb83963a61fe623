"""Lines of a Procfile that would run as workers, and are hardly meant as such."""

import re
from difflib import get_close_matches

from piku.app.procfile import WITH_MEANING, Procfile
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.hints import hints


def check(deployment: Deployment) -> tuple[()]:
    """Raise PikuError for a line that means something else elsewhere, or hardly what it says."""
    refuse_mistakes(deployment.revision.procfile)
    hints.programs_of_heroku(deployment)
    return ()


def refuse_mistakes(found: Procfile) -> None:
    """Raise PikuError for a worker that begins with a schedule, or is nearly a known type."""
    for kind in found.workers:
        _refuse_mistake(found, kind)


def _refuse_mistake(found: Procfile, kind: str) -> None:
    command = re.sub(r"^([\"'])(.*?)\1", r"\2", found.entries[kind].command)
    if re.match(r"@[a-z]+\s|([*\d][*\d/,-]*\s+){3}([*\w][*\w/,-]*\s+){2}", command):
        hint = f"write 'cron-{kind}: {command}'"
        raise PikuError(f"Procfile: the command of {kind!r} begins with a schedule", hint=hint)
    known = [one for one in WITH_MEANING if one not in found.entries]
    swapped = [one for one in known if sorted(one) == sorted(kind.lower())]
    for meant in swapped or get_close_matches(kind.lower(), known, 1, 0.75):
        message = f"Procfile: {kind!r} would run as a worker; did you mean {meant!r}?"
        raise PikuError(message, hint="if it is meant as a worker, give it another name")
