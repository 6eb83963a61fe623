"""How many apps a key may make, and how much of the disk they may take; checked at a push."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError
from piku.paths import AppPaths


def check(apps: Sequence[AppPaths], wanted: AppPaths, limits: Mapping[str, str]) -> None:
    """Raise PikuError when the apps of a key are too many with the wanted one, or too large."""
    most = int(limits.get("PIKU_MAX_APPS") or 0)
    if most and not wanted.repo.is_dir() and len(apps) >= most:
        names = ", ".join(app.name for app in apps)
        raise PikuError(
            f"your key may have {most} app{'s' * (most > 1)}, and has {names}",
            hint="push to one of them, or have an administrator remove one",
        )
    most = int(limits.get("PIKU_MAX_DISK") or 0)
    used = _size([place for app in apps for place in _folders(app)]) if most else 0
    if used > most:
        raise PikuError(
            f"your apps take {used >> 20} MB of the disk, and may take {most >> 20} MB",
            hint="have an administrator make room (piku destroy, or files of its data folder)",
        )


def _folders(app: AppPaths) -> list[Path]:
    folders = (app.repo, app.releases, app.envs, app.data, app.cache, app.logs)
    return [folder for folder in folders if folder.is_dir()]


def _size(folders: Sequence[Path]) -> int:
    """The bytes that these folders take; files of them that are going meanwhile do not matter."""
    if not folders:
        return 0
    argv = ["du", "--summarize", "--total", "--block-size=1", "--", *map(str, folders)]
    return int(subprocesses.run(argv, check=False).splitlines()[-1].split()[0])
