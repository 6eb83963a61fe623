"""Why a build failed, where it is the version of Python: pip hides it among hundreds of others."""

import re

from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.versions import ranges
from piku.extras.versions.choice import allowed, dotted, how_to_allow
from piku.extras.versions.choose import PYTHONS

_PIP_WANTED = re.compile(
    r"No matching distribution found for ([\w.-]+)(?:\[[^]]*\])?((?:[<>=!~]+[\d.*]+,?)*)"
)
_PIP_IGNORED = re.compile(r"(\d[\w.]*) Requires-Python ([^;\n]+)")
_OTHERS = (
    re.compile(r"does not satisfy Python(?P<range>\S+) and (?P<name>\S+) depends on Python"),  # uv
    re.compile(r"- (?P<name>\S+) requires Python (?P<range>\S+), so it will not be"),  # Poetry
)


def explain(deployment: Deployment, text: str) -> PikuError | None:
    reason = needed(text)
    made_for = next(deployment.context.environment.glob("lib/python3.*"), None)
    if reason is None or made_for is None:
        return None
    name, range_ = reason
    here = made_for.name.removeprefix("python")
    near = ranges.nearest(range_, ranges.version(here), PYTHONS)
    ways = [f"ask for it: write {dotted(near)} into .python-version, and commit"] if near else []
    if near and not allowed(deployment.context):
        ways.append(f"let Piku fetch it, if it is not here: {how_to_allow(deployment.context)}")
    ways.append(f"{'or ' if ways else ''}require a version that runs on Python {here}")
    what = f"{name} needs Python {range_}, and this environment has Python {here}"
    return PikuError(what, hint="\n".join(ways))


def needed(text: str) -> tuple[str, str] | None:
    """Which requirement needs another Python, and which: what a tool's output says."""
    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    for pattern in _OTHERS:
        if found := pattern.search(plain):
            return found["name"], found["range"].strip(",.")
    wanted = _PIP_WANTED.search(plain)
    # pip lists what it ignored whenever it finds nothing: only what was asked for counts.
    for version, range_ in _PIP_IGNORED.findall(text) if wanted else ():
        if wanted and ranges.allows(wanted[2], ranges.version(version)):
            return f"{wanted[1]}{wanted[2]}", range_.strip()
    return None
