"""One-off commands in an app's environment."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NoReturn

from piku import programs
from piku.deploy import environment, records, source
from piku.errors import PikuError
from piku.paths import AppPaths, Paths


def run(paths: Paths, app: AppPaths, words: Sequence[str]) -> NoReturn:
    """Become the command, in the live release's folder and with its variables.

    One word is a shell's command line; several are a program and its arguments, taken as they are.
    """
    live = records.live(app)
    if live is None:
        raise PikuError(
            f"{app.name} has no live release to run a command in", hint="push a working commit first"
        )
    release = records.load_release(app, live.release)
    found = source.read(paths, app, release.commit, release.settings)
    variables = environment.variables(paths, app, release, found, next(iter(live.processes), None))
    command = words[0] if len(words) == 1 else shlex.join(words)
    programs.become(
        programs.shell(command), cwd=app.releases / release.checkout, env=variables | programs.terminal()
    )
