"""Systems of Debian and Ubuntu made by debootstrap, kept in a cache, and copies of them that cost
nothing.

For root only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CACHE = Path("/var/cache/piku-dev")
SUITE = os.environ.get("SUITE", "bookworm")
MIRRORS = {
    "bookworm": "http://deb.debian.org/debian",
    "trixie": "http://deb.debian.org/debian",
    "noble": "http://archive.ubuntu.com/ubuntu",
}
UBUNTU_KEYRING = (
    f"{MIRRORS['noble']}/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
    "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = "/root"  # where root is at home in there


class BoxError(Exception):
    """A system could not be made, or a machine did not do what it should."""


def call(*command: str, check: bool = True) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise BoxError(f"{shlex.join(command)}: exit code {done.returncode}\n{said}")
    return done.stdout


def inside(root: Path, *command: str) -> str:
    """Run a program as root in the folder of a system."""
    variables = [f"PATH={PATH}", f"HOME={HOME}", "DEBIAN_FRONTEND=noninteractive"]
    return call("chroot", str(root), "env", "-i", *variables, *command)


def base(suite: str, packages: Sequence[str], archives: Sequence[str] = ()) -> Path:
    """The folder of a minimal system with these packages, made in a minute or two unless it is
    there.

    The archives of others, and of what they depend on, lie ready in it to be installed offline.
    """
    wanted = json.dumps([suite, packages, archives, 6])
    folder = CACHE / f"system-{suite}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            print(f"Making a system of {suite} in {folder}", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder / "root", suite, packages, archives)
            (folder / "complete").touch()
    return folder / "root"


def _build(root: Path, suite: str, packages: Sequence[str], archives: Sequence[str]) -> None:
    mirror = MIRRORS[suite]
    ubuntu = "ubuntu" in mirror
    components = "main,universe" if ubuntu else "main"
    keyring = [f"--keyring={_ubuntu_keyring(root.parent)}"] if ubuntu else []
    # A debootstrap that is older than the suite does not know it; those of Ubuntu are all alike.
    recipe = ["/usr/share/debootstrap/scripts/gutsy"] if ubuntu else []
    options = [f"--include={','.join(packages)}", f"--components={components}", *keyring]
    call("debootstrap", "--variant=minbase", *options, suite, str(root), mirror, *recipe)
    (root / "etc/dpkg/dpkg.cfg.d/box").write_text("force-unsafe-io\n")
    (root / "etc/apt/sources.list").write_text(
        f"deb {mirror} {suite} {components.replace(',', ' ')}\n"
    )
    inside(root, "apt-get", "update", "-q")
    if archives:
        (root / "etc/apt/apt.conf.d/90box").write_text(
            'APT::Keep-Downloaded-Packages "true";\nAPT::Get::Assume-Yes "true";\n'
        )
        known = set(inside(root, "apt-cache", "pkgnames").split())
        wanted = [name for name in archives if name in known]
        inside(root, "apt-get", "install", "-q", "--download-only", *wanted)
    # sshd makes its keys when its package is configured: every machine must have its own.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)


def _ubuntu_keyring(folder: Path) -> Path:
    """The keys that Ubuntu's archive is signed with: Debian has no package of them."""
    address, digest = UBUNTU_KEYRING
    folder.mkdir(exist_ok=True)
    package = folder / "keyring.deb"
    call("curl", "--fail", "--silent", "--show-error", "--output", str(package), address)
    if hashlib.sha256(package.read_bytes()).hexdigest() != digest:
        raise BoxError(f"{address} is not what it was")
    call("dpkg-deb", "--extract", str(package), str(folder / "keyring"))
    return folder / "keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg"


def private_mounts() -> None:
    """From now on what we mount is ours alone, and gone when we are."""
    library = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec_private = 0x20000, 0x4000 | 1 << 18
    if library.unshare(clone_newns) or library.mount(b"none", b"/", None, ms_rec_private, None):
        raise BoxError(f"no mounts of our own: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def copy(lower: Path) -> Iterator[Path]:
    """A folder whose `root` is a copy of that system, for as long as the block runs."""
    # Not on a tmpfs: overlayfs needs a disk.
    folder = Path("/var/tmp", f"piku-box-{secrets.token_hex(3)}")  # noqa: S108
    for name in ("root", "upper", "work"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    try:
        layers = f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work"
        call("mount", "-t", "overlay", folder.name, "-o", layers, str(folder / "root"))
        yield folder
    finally:
        call("umount", str(folder / "root"), check=False)
        shutil.rmtree(folder, ignore_errors=True)
