"""A build folder that stays, for compilers that start anew when a path or a time has changed.

It is below the app's cache folder, gets of each release the files that differ, and hands what it made to
the release's checkout (docs/adr/0012-build-caches.md). The app's lock keeps two builds from meeting there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from piku.runtimes.base import Context, Run

_MIRROR = Path(__file__).with_name("mirror.py")


def folder(context: Context, name: str) -> Path:
    """Where the sources of a release are compiled; a build's own files belong beside it."""
    return context.cache / name / "src"


def sync(context: Context, name: str) -> Run:
    """Bring the build folder up to the release's checkout."""
    return _mirror("sync", context.checkout, folder(context, name))


def take(source: Path, target: Path, *patterns: str) -> Run:
    """Move the files below `source` that match one of the glob patterns to the release."""
    return _mirror("take", source, target, *patterns)


def _mirror(what: str, source: Path, target: Path, *patterns: str) -> Run:
    return Run(
        argv=(sys.executable, "-IS", str(_MIRROR), what, str(source), str(target), *patterns)
    )
