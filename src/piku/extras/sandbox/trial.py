"""Whether this server lets walls be built, and if not, how to allow it."""

from collections.abc import Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.paths import TEMPLATES

_PROFILE = TEMPLATES / "bwrap.apparmor"
_KEPT = ">/etc/sysctl.d/60-piku.conf && sysctl --system"  # also after the next boot
# What forbids an ordinary user what bubblewrap does: a file, what it says then, and the way out.
_FORBIDDEN = (
    ("kernel/unprivileged_userns_clone", "0", f"echo kernel.unprivileged_userns_clone=1 {_KEPT}"),
    ("user/max_user_namespaces", "0", f"echo user.max_user_namespaces=10000 {_KEPT}"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        f"cp {_PROFILE} /etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap",
    ),
)


def require(argv: Sequence[str]) -> None:
    """Run a program inside; raises PikuError with what keeps it from running."""
    if subprocesses.which("bwrap") is None:
        raise PikuError(
            "PIKU_SANDBOX=true needs bubblewrap, which this server lacks",
            hint="install with: apt-get install bubblewrap",
        )
    try:
        subprocesses.run(argv)
    except subprocesses.ProgramFailed as error:
        raise PikuError(
            "PIKU_SANDBOX=true: this server does not let bubblewrap build walls",
            detail=error.detail,
            hint=remedy(error.output, Path("/proc/sys")),
        ) from None


def remedy(said: str, sys: Path) -> str:
    """What to do, from what bubblewrap said and the kernel's settings."""
    if "mount proc" in said:
        return "a part of /proc is hidden here, as in most containers (docs/sandbox.md)"
    for name, value, command in _FORBIDDEN:
        if files.read(sys / name).strip() == value:
            return f"user namespaces are forbidden here; as root: {command}"
    return "user namespaces must be allowed for it (docs/sandbox.md)"
