"""Disks that are full or read-only, without root: in a user and mount namespace of one's own."""

import os
import subprocess
from pathlib import Path

import pytest

# Root of the outer namespace mounts, and becomes the caller again.
_AGAIN = 'exec unshare --user --map-user=UID --map-group=GID "$@"'
# More flags than the file system has are always allowed, fewer are not (mount_namespaces(7)).
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro,nosuid,nodev "$0"'
_BESIDE = '''for one in "PLACE"/*; do
    mkdir "$0/${one##*/}" && mount --bind "$one" "$0/${one##*/}" || exit
done; mount --rbind "$0" "PLACE"'''
_SMALL = 'mount -t tmpfs -o size=SIZE,mode=0777 tmpfs "$0"'

_ALLOWED = (
    subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode == 0
)
# Ubuntu 24.04 does not let everybody have them, Debian does.
needed = pytest.mark.skipif(not _ALLOWED, reason="no user namespaces for an ordinary user here")


def read_only(folder: Path, *command: str) -> list[str]:
    """The argv of a command for which this folder is read-only."""
    return _inside(_READ_ONLY, folder, command)


def on_small_disk(folder: Path, size: str, *command: str) -> list[str]:
    """The argv of a command for which this folder is an empty disk of that size."""
    return _inside(_SMALL.replace("SIZE", size), folder, command)


def with_more(folder: Path, place: str, *command: str) -> list[str]:
    """The argv of a command for which what is in `folder` is beside what is in `place`."""
    return _inside(_BESIDE.replace("PLACE", place), folder, command)


def _inside(mounts: str, folder: Path, command: tuple[str, ...]) -> list[str]:
    again = _AGAIN.replace("UID", str(os.getuid())).replace("GID", str(os.getgid()))
    return ["unshare", "-Urm", "sh", "-c", f"{mounts} && {again}", str(folder), *command]
