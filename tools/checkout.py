"""This checkout, and copies of what git tracks in it or would track."""

import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# It may belong to somebody else than root, which git takes as a reason to refuse.
GIT = ["git", "-c", f"safe.directory={CHECKOUT}", "-c", "core.fsmonitor=false", "-C", str(CHECKOUT)]


def copy(target: Path, *, without: tuple[str, ...] = ()) -> None:
    """Copy it there, without the folders that are named (`tests/`)."""
    listing = [*GIT, "ls-files", "-z", "-co", "--exclude-standard"]
    done = subprocess.run(listing, check=True, stdout=subprocess.PIPE, text=True)
    for name in sorted(set(done.stdout.split("\0"))):
        source = CHECKOUT / name
        if not name.startswith(without or " ") and (source.is_symlink() or source.is_file()):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
