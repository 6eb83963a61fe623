"""The base layer: Debian with the packages that apps need, made by mmdebstrap.

It is kept under a name made from those packages and their versions, for all apps that need the
same: when the distribution offers others, another is made.
"""

import os
import platform
import pwd
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.image import packages
from piku.extras.image.store import TIMEOUT, Store, digest
from piku.output import Output
from piku.paths import Paths

_LISTS = Path("/var/lib/apt/lists")  # replaced by each apt-get update
_TEMPORARY = "/var/tmp"  # noqa: S108 (the users inside cannot look into our folders)
_HINT = """its last words are above; it reads the sources of /etc/apt.
If {user} has no line in /etc/subuid and /etc/subgid, as root (with numbers that are free there):
usermod --add-subuids 400000-465535 --add-subgids 400000-465535 {user}"""


def ensure(
    paths: Paths, store: Store, app: str, needed: Sequence[str], output: Output, *, anew: bool
) -> str:
    """The tag of the base that has what an app needs; it is made when it is not there, when there
    are other versions, and when it is asked for `anew`. `app` is the app's digest."""
    user = pwd.getpwuid(os.getuid())
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    whose = (suite, *map(str, user[:4]), str(paths.home))
    # What it was chosen by, its tag, and when that was so.
    known, by = store.folder.with_name(f"{app}.base"), digest(*whose, *needed)
    before, _, tag = files.read(known).partition(" ")
    is_known = not anew and before == by and tag in store.digests()
    if is_known and known.stat().st_mtime_ns > _LISTS.stat().st_mtime_ns:
        return tag
    chosen = packages.of(needed)
    tag = f"base-{digest(*whose, *chosen, *_offered(chosen))}"
    if anew or tag not in store.digests():
        output.step(f"Base of images: {suite} with {', '.join(chosen)} (once, takes minutes)")
        with files.temporary_folder(store.folder.parent, "base") as folder:
            layer = Path(folder, "base.tar")
            _bootstrap(suite, layer, chosen, user, paths.home)
            store.add("empty", layer, tag)
    files.write(known, f"{by} {tag}")
    return tag


def _offered(chosen: Sequence[str]) -> list[str]:
    """The versions that the distribution offers of what a base contains: these packages, those that
    no Debian is without, and all that they depend on."""
    depends = ("depends", "--recurse", "--important", *chosen, *packages.essential())
    listing = subprocesses.run(["apt-cache", *depends], check=False)
    names = sorted(set(re.findall(r"^[a-z0-9][a-z0-9+.-]+$", listing, re.MULTILINE)))
    listing = subprocesses.run(["apt-cache", "policy", *names], check=False)
    return re.findall(r"^\S+:$|^  Candidate: .*$", listing, re.MULTILINE)


def _bootstrap(
    suite: str, layer: Path, chosen: Sequence[str], user: pwd.struct_passwd, home: Path
) -> None:
    """Have mmdebstrap write the file system; the same packages give the same bytes."""
    account = f"{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{home}:/bin/bash"
    lines = (account, "passwd"), (f"{user.pw_name}:x:{user.pw_gid}:", "group")
    lists = (one for one in Path("/etc/apt").rglob("*") if one.suffix in (".list", ".sources"))
    sources = [str(one) for one in lists if re.search(r"(?m)^(deb|URIs:)\s", files.read(one))]
    argv = [
        "mmdebstrap", "--quiet", "--mode=unshare", "--variant=essential", "--format=tar",
        f"--include={','.join(chosen)}",
        "--dpkgopt=force-unsafe-io",  # what is half done is thrown away anyhow
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
        *(f'--customize-hook=echo {shlex.quote(line)} >>"$1/etc/{file}"' for line, file in lines),
        suite, str(layer), *sorted(sources),
    ]  # fmt: skip
    env = {**subprocesses.environment(), "SOURCE_DATE_EPOCH": "0", "TMPDIR": _TEMPORARY}
    try:
        subprocesses.run(argv, env=env, timeout=TIMEOUT, cwd=Path("/"))
    except subprocesses.ProgramFailed as error:
        hint = _HINT.format(user=user.pw_name)
        raise PikuError("the base of images failed", detail=error.detail, hint=hint) from None
