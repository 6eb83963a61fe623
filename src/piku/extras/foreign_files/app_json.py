"""app.json: settings of a new app, and a command that runs once."""

import json
import secrets
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from piku.app import settings
from piku.app.tree import Tree
from piku.deploy import build, releases
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.output import printable
from piku.paths import AppPaths

NAME = "app.json"
_IGNORED = (
    "addons",
    "buildpacks",
    "formation",
    "stack",
    "image",
    "environments",
    "cron",
    "healthchecks",
)
# What piku gives to an app, and what only Heroku has.
GIVEN = (*settings.GIVEN, "PORT", "BIND_ADDRESS")


def document(tree: Tree) -> dict[str, Any]:
    """What an app.json of Heroku's says; other tools have files of that name, too."""
    try:
        found = json.loads(tree.read(NAME) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "expo" not in found else {}


def _table(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


# --- env -----------------------------------------------------------------------------------------


def initial(app: AppPaths, tree: Tree, values: Mapping[str, str]) -> dict[str, str]:
    """Values and generated secrets for settings that nobody has given; raises PikuError that names
    those that only a person can give."""
    wanted = _table(document(tree), "env")
    found, missing = {}, {}
    for name, said in wanted.items():
        if name in values or name in GIVEN or name.startswith("HEROKU_"):
            continue
        about = said if isinstance(said, dict) else {"value": said}
        if about.get("generator") == "secret":
            found[name] = secrets.token_hex(32)
        elif about.get("value") not in (None, ""):
            found[name] = _text(about["value"])
        elif str(about.get("required", "value" not in about)).lower() == "true":
            missing[name] = str(about.get("description") or "")
    if missing:
        raise _incomplete(app, missing)
    try:
        settings.refuse_in_repository(found)
        settings.check_all(found)
    except PikuError as error:
        raise PikuError(f"{NAME}: {error.message.removeprefix('ENV: ')}", hint=error.hint) from None
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _incomplete(app: AppPaths, missing: Mapping[str, str]) -> PikuError:
    pairs = " ".join(f"{name}=…" for name in missing)
    about = (f"  {name}: {printable(text)[:100]}" for name, text in missing.items() if text)
    return PikuError(
        f"{NAME} requires settings that {app.name} does not have: {', '.join(missing)}",
        hint="\n".join((f"set them, then push again: piku config:set {app.name} {pairs}", *about)),
    )


# --- the rest ------------------------------------------------------------------------------------


def parts(tree: Tree) -> Iterator[tuple[str, bool]]:
    """What an app.json has that means something to Heroku, and whether it does here."""
    found = document(tree)
    if _table(found, "env"):
        yield "env", True
    for script in _table(found, "scripts"):
        yield f"scripts.{script}", script == "postdeploy"
    for name in _IGNORED:
        if found.get(name):
            yield name, False


def postdeploy(deployment: Deployment) -> None:
    """Run the command for a new app, after its first release went live. When it fails, the release
    stays: its data may be there in part."""
    app, own = deployment.app, deployment.release.number
    command = str(_table(document(deployment.revision.tree), "scripts").get("postdeploy") or "")
    earlier = (one for one in releases.releases(app) if one.number != own)
    if not command or any(one.outcome == releases.SUCCEEDED for one in earlier):
        return
    try:
        build.run_phase("postdeploy", deployment, command)
    except PikuError as error:
        deployment.output.warn(f"{error.message}; the release stays live")
        again = f"piku run {app.name} {shlex.quote(command)}"
        deployment.output.warn(f"It is not run again: once it can work, {again}")
