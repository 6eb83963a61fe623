"""What a server has to name, asked over ssh and kept for a while: completion must not wait for a login."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from piku import files
from piku.client import ssh
from piku.client.address import Target
from piku.errors import PikuError

FRESH = 60.0  # seconds
_TIMEOUT = 5.0  # seconds for all of it, login included


def of(target: Target, *, age: float = FRESH) -> dict[str, Any]:
    """The commands and apps of a server, as of at most `age` seconds ago; empty when it does not answer soon.

    What was found out is kept in a file of the user's own: names, never values.
    """
    place = _place(target)
    with contextlib.suppress(OSError, PikuError):
        if time.time() - place.stat().st_mtime < age and isinstance(
            kept := files.read_json(place), dict
        ):
            return kept
    try:
        found = json.loads(ssh.capture(target, ["names"], timeout=_TIMEOUT, app=False))
    except (PikuError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_json(place, found)
    return found


def forget(target: Target) -> None:
    """Ask anew the next time."""
    with contextlib.suppress(OSError):
        _place(target).unlink(missing_ok=True)


def on_this_server() -> dict[str, Any]:
    """The same of the server that this machine is."""
    import click

    from piku.cli.completion_data import everything
    from piku.cli.main import cli
    from piku.paths import Paths

    paths = Paths.from_environment(os.environ)
    return everything(click.Context(cli, info_name="piku", obj=paths), paths)


def here() -> dict[str, Any]:
    """The commands that this very piku knows; without apps."""
    import click

    from piku.cli.completion_data import commands
    from piku.cli.main import cli

    return {"commands": commands(click.Context(cli, info_name="piku")), "apps": {}}


def own_command(name: str) -> dict[str, Any] | None:
    """The same of a single command, which alone is loaded."""
    import click

    from piku.cli.completion_data import described
    from piku.cli.main import cli

    command = cli.get_command(click.Context(cli, info_name="piku"), name)
    return described(command) if command else None


def _place(target: Target) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    server = f"{' '.join(target.ssh)} {target.address.server}"
    return (
        Path(base)
        / "piku"
        / f"{hashlib.sha256(server.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
    )
