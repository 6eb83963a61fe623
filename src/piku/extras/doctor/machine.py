"""The machine: room on its disk, memory, and its clock."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from piku import files
from piku.app import settings
from piku.deploy import releases, revision
from piku.extras.certs import lego
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.paths import AppPaths

MB = 2**20
_TIME_ERROR = 5  # adjtimex(2): nobody sets the clock by another one
_SKEW = 30.0  # seconds; a certificate authority takes no more than a few minutes


def disk(scene: Scene) -> Iterator[Finding]:
    """Room and inodes of the disk that holds the piku root."""
    root = scene.paths.root
    seen = os.statvfs(root if root.exists() else scene.paths.home)
    free, total = seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize
    largest = f"see what is large: du -xhd2 {shlex.quote(str(root))} | sort -h | tail"
    said = f"{free / MB:.0f} of {total / MB:.0f} MB are free on the disk of {root}"
    if free < 100 * MB:
        yield problem(f"only {said}: deploys and logs will fail", largest)
    elif free < min(1024 * MB, total / 10):
        yield warning(f"only {said}", largest)
    else:
        yield ok(said)
    if seen.f_files:  # some file systems do not count them
        left = f"{seen.f_favail} of {seen.f_files} inodes are left on the disk of {root}"
        many = f"see where there are many files: du --inodes -xd2 {shlex.quote(str(root))} | sort -n | tail"
        if seen.f_favail < min(1000, seen.f_files / 50):
            yield problem(f"only {left}: no new files can be made soon", many)
        elif seen.f_favail < seen.f_files / 20:
            yield warning(f"only {left}", many)


def memory(scene: Scene) -> Iterator[Finding]:
    """What is left of memory and swap."""
    del scene
    sizes = {
        name: int(size) * 1024 for name, size in _MEMORY.findall(files.read(Path("/proc/meminfo")))
    }
    yield from judged_memory(sizes)


def load(scene: Scene) -> Iterator[Finding]:
    """Whether the processors keep up."""
    del scene
    busy, processors = os.getloadavg()[1], os.cpu_count() or 1
    if busy > 4 * processors:
        yield warning(
            f"the load of the last 5 minutes is {busy:.1f}, with {processors} processors", "piku ps"
        )


_MEMORY = re.compile(r"^(\w+):\s+([0-9]+) kB$", re.MULTILINE)


def judged_memory(sizes: dict[str, int]) -> Iterator[Finding]:
    """What to say of these sizes, in bytes, named as in /proc/meminfo."""
    total, available = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    swap, free = sizes.get("SwapTotal", 0), sizes.get("SwapFree", 0)
    said = f"{available / MB:.0f} of {total / MB:.0f} MB of memory are available"
    fix = "see what takes it: piku ps; limit an app: piku config:set APP PIKU_MEMORY_LIMIT=256M"
    if available < 32 * MB:
        yield problem(f"only {said}: the kernel is about to kill something", fix)
    elif available < min(total / 10, 256 * MB):
        yield warning(f"only {said}", fix)
    else:
        yield ok(said)
    if swap and free < swap / 10 and available < total / 4:
        yield warning(f"swap is nearly full: {free / MB:.0f} of {swap / MB:.0f} MB are free", fix)
    elif not swap and total < 1100 * MB:
        yield warning(
            f"this machine has {total / MB:.0f} MB of memory and no swap: a build may be killed",
            "sudo fallocate -l 1G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile",
        )


# --- the clock -----------------------------------------------------------------------------------


def clock(scene: Scene) -> Iterator[Finding]:
    """Whether the clock is right, as far as one can tell; online by the certificate authority's."""
    fix = "sudo timedatectl set-ntp true"
    newest = max((_newest(app) for app in scene.apps), default=0.0)
    if newest > time.time() + 60:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest))
        yield problem(
            f"the clock was set back: a release was made at {when}, which is to come", fix
        )
    if scene.online:
        yield from _online(scene, fix)
    elif _is_set() is False:
        yield warning("nothing sets this machine's clock: it may be wrong, or become so", fix)
    else:
        yield ok("the clock is kept right by the system")


def _newest(app: AppPaths) -> float:
    numbers = releases.release_numbers(app)
    stored = files.read_json(app.release_record(numbers[-1])) if numbers else None
    return float(stored.get("created", 0)) if isinstance(stored, dict) else 0.0


def _is_set() -> bool | None:
    """Whether some service sets the clock by others (adjtimex(2)); None where the kernel does not say."""
    # The structure is read-only when its first field, `modes`, is 0; none has 512 bytes.
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else bool(answer != _TIME_ERROR)


def _online(scene: Scene, fix: str) -> Iterator[Finding]:
    address = lego.directory(settings.ACME_ROOT_CA.read(revision.layered(scene.paths, "", {})))
    try:
        theirs = asked_time(address)
    except (OSError, HTTPException, ValueError, TypeError) as error:
        yield warning(
            f"{address} does not answer ({error}): no certificates can be had, nor the clock be compared",
            f"see whether this machine reaches it: curl -sSI {shlex.quote(address)}",
        )
        return
    skew = time.time() - theirs
    if abs(skew) > _SKEW:
        how = "fast" if skew > 0 else "slow"
        yield problem(
            f"the clock is {abs(skew):.0f} s {how}, says {urlsplit(address).hostname}", fix
        )
    else:
        yield ok(f"the clock agrees with that of {urlsplit(address).hostname}")


def asked_time(address: str) -> float:
    """The time that a server says it is, in seconds of the epoch; raises OSError, HTTPException, ValueError."""
    url = urlsplit(address)
    # With a wrong clock no certificate is valid, and nothing depends on the answer but a word to its reader.
    context = ssl._create_unverified_context()  # noqa: S323
    connection: HTTPConnection = HTTPSConnection(
        url.hostname or "", url.port, timeout=5, context=context
    )
    try:
        connection.request("HEAD", url.path or "/", headers={"User-Agent": "piku"})
        return parsedate_to_datetime(connection.getresponse().headers["Date"]).timestamp()
    finally:
        connection.close()
