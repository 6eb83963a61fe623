"""One-off commands in an app's environment: in the caller's terminal, or detached from it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import NoReturn

from piku import subprocesses
from piku.deploy import app_env, releases, revision
from piku.deploy.releases import Activation, Release
from piku.deploy.revision import Source
from piku.errors import PikuError
from piku.extras.detached import runs
from piku.operate import connection_watch
from piku.paths import AppPaths, Paths


def run(paths: Paths, app: AppPaths, words: Sequence[str]) -> NoReturn:
    """Become the command, in the live release's folder and with its variables.

    One word is a shell's command line; several are a program and its arguments, taken as they are.
    """
    live, release, found = _live(paths, app)
    variables = app_env.variables(paths, app, release, found, next(iter(live.processes), None))
    subprocesses.exec_program(
        [*_attendant(live), *subprocesses.shell(_command(words))],
        cwd=app.releases / release.checkout,
        env={**_prompt(app, release), **variables, **subprocesses.terminal()},
    )


def _attendant(live: Activation) -> list[str]:
    """What comes before a command whose caller may go away without a word. A shell on this server never
    calls the leader of a session, and sees to such things itself."""
    if os.getsid(0) != os.getpid():
        return []
    connection_watch.hold_signals()
    return [subprocesses.system_python(), "-IS", connection_watch.__file__, str(live.stop_timeout)]


def _command(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else shlex.join(words)


def _prompt(app: AppPaths, release: Release) -> dict[str, str]:
    """What tells in a shell where one is: the app, its release, and the folder below its code."""
    if not os.isatty(0):
        return {}
    prompt = f"{app.name} v{release.number}:${{PWD#{app.releases / release.checkout}}}$ "
    # Debian's bash sets a prompt of its own at its start: this comes after, once.
    return {"PS1": prompt, "PROMPT_COMMAND": f"PS1={shlex.quote(prompt)}; unset PROMPT_COMMAND"}


def _live(paths: Paths, app: AppPaths) -> tuple[Activation, Release, Source]:
    live = releases.live(app)
    if live is None:
        raise PikuError(
            f"{app.name} has no live release to run a command in",
            hint="push a working commit first",
        )
    release = releases.load_release(app, live.release)
    return live, release, revision.read(paths, app, release.commit, release.settings)


# --- detached ------------------------------------------------------------------------------------


def detach(paths: Paths, app: AppPaths, words: Sequence[str]) -> str:
    """Start the command so that it goes on when we have ended; returns its name."""
    live, release, found = _live(paths, app)
    return runs.begin(paths, app, live, release, found, _command(words))


def stop(app: AppPaths, name: str) -> None:
    """End a detached command; raises PikuError when it does not run."""
    running = runs.running(app)
    if name not in running:
        hint = (
            f"there are: {', '.join(running)}"
            if running
            else "`piku ps:scale` and `piku stop` end processes"
        )
        raise PikuError(f"{app.name} has no detached command {name[:60]!r} at work", hint=hint)
    live = releases.live(app)
    runs.end(app, live.stop_timeout if live else 10, name)
    if name in runs.running(app):
        raise PikuError(f"{name} of {app.name} did not end")
