"""The machine: programs, disk, memory, clock, and whose the files are."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from piku import files, subprocesses
from piku.extras import shared
from piku.extras.doctor.context import Context, Finding, own_user, problem, warning
from piku.runtimes.python import PLUGINS

MB = 2**20
# Each program, its Debian package, and the oldest version that piku supports.
_PROGRAMS = (
    ("nginx", "nginx", (1, 18)), ("uwsgi", "uwsgi-core", (2, 0, 18)), ("git", "git", (2, 30)),
    ("openssl", "openssl", ()), ("ssh-keygen", "openssh-client", ()), ("ss", "iproute2", ()),
)  # fmt: skip


def programs(_context: Context) -> Iterator[Finding]:
    """Programs that are missing or too old."""
    for program, package, oldest in _PROGRAMS:
        if subprocesses.which(program) is None:
            yield problem(f"{program} is not installed", f"sudo apt-get install {package}")
        elif oldest and (version := _version(program)) < oldest:
            has, needs = (".".join(map(str, one)) for one in (version, oldest))
            fix = f"sudo apt-get install --only-upgrade {package}"
            yield warning(f"{program} is {has or 'too old'}, piku needs {needs} or later", fix)
    if not any(PLUGINS.glob("python3*_plugin.so")):
        fix = "sudo apt-get install uwsgi-plugin-python3"
        yield warning("uWSGI has no plugin for Python: wsgi apps cannot run", fix)


def _version(program: str) -> tuple[int, ...]:
    option = "-v" if program == "nginx" else "--version"
    text = subprocesses.run([program, option], check=False, merged=True)
    found = re.search(r"[0-9]+(?:\.[0-9]+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def disk(context: Context) -> Iterator[Finding]:
    """Free space on the disk of the piku root."""
    root = context.paths.root
    total, free, few = shared.space(root if root.exists() else context.paths.home)
    what = f"{free // MB} of {total // MB} MB are free on the disk of {root}"
    fix = f"see what is large: du -xhd2 {shlex.quote(str(root))} | sort -h | tail"
    if few:
        severity = problem if free < 100 * MB else warning
        yield severity(f"only {what}", fix)


def memory(_context: Context) -> Iterator[Finding]:
    """Available memory."""
    text = files.read(Path("/proc/meminfo"))
    sizes = dict(re.findall(r"^(\w+):\s+([0-9]+) kB$", text, re.MULTILINE))
    total, available = (int(sizes[name]) // 1024 for name in ("MemTotal", "MemAvailable"))
    what = f"{available} of {total} MB of memory are available"
    if available < min(total / 10, 256):
        severity = problem if available < 32 else warning
        yield severity(f"only {what}", "see which app takes it: piku ps")


def clock(_context: Context) -> Iterator[Finding]:
    """Whether the clock is synchronized; unknown where systemd does not run."""
    if subprocesses.which("timedatectl"):
        show = ["timedatectl", "show", "-p", "NTPSynchronized", "--value"]
        if subprocesses.run(show, check=False).strip() == "no":
            yield warning("the clock is not synchronized", "sudo timedatectl set-ntp true")


# --- folders and files ---------------------------------------------------------------------------


def folders(context: Context) -> Iterator[Finding]:
    """Whether the server is set up, and piku can use its folders."""
    root = context.paths.root
    wanted = [root, *(root / name for name in context.paths.FOLDERS)]
    if missing := [path.name for path in wanted if not path.is_dir()]:
        yield problem(f"this server is not set up: {root} lacks {', '.join(missing)}", "piku setup")
    for path in wanted:
        if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            place = shlex.quote(str(path))
            fix = f"sudo chown {own_user()}: {place} && sudo chmod u+rwx {place}"
            yield problem(f"piku cannot write to {path}", fix)


def ownership(context: Context) -> Iterator[Finding]:
    """Files of another user, as commands run by root leave them; apps' own data may be anyone's."""
    root = context.paths.root
    apps_own = ["(", "-path", f"{root}/data/*", "-o", "-path", f"{root}/cache/*", ")", "-prune"]
    search = ["find", str(root), *apps_own, "-o", "!", "-user", str(os.getuid()), "-print"]
    if foreign := subprocesses.run(search, check=False).splitlines():
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        what = f"{foreign[0]}{more} below the piku root belong to another user: deploys may fail"
        yield problem(what, f"sudo chown -R {own_user()}: {shlex.quote(str(root))}", *foreign[1:6])
