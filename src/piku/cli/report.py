"""Errors as a user sees them: what can be acted on in two lines, bugs kept for a report."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Sequence

import click

from piku import plugins
from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def report(error: Exception, words: Sequence[str]) -> int:
    """Print an error; returns the exit code (design, "Rules that keep it so")."""
    paths = Paths.from_environment(os.environ)
    found = _expected(error) or plugins.failure(paths, error)
    if found is None:
        found = PikuError("piku itself failed here", hint=_kept(error, words, paths), code=3)
    if not found.shown:
        Output(sys.stderr).error(found)
    return found.code


def _expected(error: Exception) -> PikuError | None:
    """The error that a user can act on; None when it is a bug, ours or a plugin's."""
    if isinstance(error, PikuError):
        return error
    if isinstance(error, click.ClickException):
        text = error.format_message().rstrip(".").replace("\n", " ")
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"see: {context.command_path if context else 'piku'} --help"
        return PikuError(text[:1].lower() + text[1:], hint=hint, code=2)
    if isinstance(error, PermissionError):
        hint = "everything below the piku root must belong to the user that runs piku"
        return PikuError(f"{error.filename}: permission denied", hint=hint)
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        place = f": {error.filename}" if error.filename else ""
        hint = "free some space on this server and try again; what was live still is"
        return PikuError(f"cannot write: {error.strerror}{place}", hint=hint)
    return None


def _kept(error: Exception, words: Sequence[str], paths: Paths) -> str:
    """Keep what is known of a bug of ours; returns how to report it."""
    story = "".join(traceback.format_exception(error))
    place = paths.uwsgi / "fault.log"
    try:
        with place.open("a") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} piku {words[0]}\n{story}")
        return f"please report it, with the details in {place}"
    except OSError:
        return f"please report it: {story.splitlines()[-1]}"
