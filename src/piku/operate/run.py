"""One-off commands in an app's environment, in the caller's terminal."""

import io
import os
import shlex
from collections.abc import Sequence
from typing import NoReturn

from piku import subprocesses
from piku.app.procfile import UWSGI_SERVED, Procfile
from piku.deploy import releases, revision
from piku.deploy.releases import Live, Release
from piku.deploy.revision import Revision
from piku.paths import AppPaths, Paths

# OpenSSH's client reports 255 for a program that a signal ended: this shell turns the signal into
# an exit code, 128 and its number. Ctrl-C is for the program alone.
_WRAPPER = ("/bin/sh", "-c", 'trap : INT QUIT; "$@"; exit $?', "sh")


def run(paths: Paths, app: AppPaths, words: Sequence[str]) -> NoReturn:
    """Become the command, in the live release's folder and with its variables."""
    live, release, found = live_source(paths, app)
    process = next(iter(live.processes), None)
    variables = revision.process_variables(paths, app, release, found, process)
    argv = subprocesses.shell(command_line(words, found.procfile))
    subprocesses.exec_program(
        [*_WRAPPER, *revision.confined(app, release, found, argv, once=True)],
        cwd=app.releases / release.checkout,
        env={**variables, **subprocesses.terminal()},
    )


def command_line(words: Sequence[str], procfile: Procfile) -> str:
    """What a shell runs: a process type of the Procfile stands for its command, one word is a
    command line, several are a program and its arguments; over SSH they are as they were typed."""
    kind = words[0]
    if kind not in (*UWSGI_SERVED, "static") and (command := procfile.command(kind)):
        return f"{command} {_as_typed(words[1:])}".rstrip()
    return kind if len(words) == 1 else _as_typed(words)


def _as_typed(words: Sequence[str]) -> str:
    """The last words of the command; from an SSH client, with the quotes that reached us."""
    text = os.environ.get("SSH_ORIGINAL_COMMAND")
    if text is None:
        return shlex.join(words)
    lexer = shlex.shlex(source := io.StringIO(text), posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    for _ in range(len(shlex.split(text)) - len(words)):
        lexer.get_token()
    return source.read()


def live_source(paths: Paths, app: AppPaths) -> tuple[Live, Release, Revision]:
    """What is live, its release, and what that was made of; raises PikuError if nothing is."""
    live = releases.require_live(app)
    release = releases.load_release(app, live.release)
    return live, release, revision.of_release(paths, app, release)
