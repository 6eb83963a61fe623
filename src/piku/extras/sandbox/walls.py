"""What is inside the walls of an app, as the command line of bubblewrap."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from piku import files
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.sandbox.settings import PATHS
from piku.paths import SEPARATOR, AppPaths, Paths

# What is there inside the walls, and nowhere else.
SIGN = "/run/piku-sandbox"
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/sys",
    "/var/lib",
)  # fmt: skip
# Of other users' programs: names of hosts, and databases that listen on a socket.
_RUN = ("systemd/resolve", "nscd", "postgresql", "mysqld", "redis", "memcached")
# Of piku's home: programs that pipx and rustup put there, and what those of Clojure read
# at each start; for builds also where packages come from.
_TOOLS = (".local", ".cargo/bin", ".rustup", ".clojure", ".lein")
_CONFIGURATION = (".gitconfig", ".npmrc", ".config/pip", ".m2/settings.xml")
# bwrap would die of a signal to its whole group before the program has finished. It ignores them,
# and the program gets them.
_SIGNALS = "TERM,INT,HUP,QUIT"
# Variables by which any program loads what they name, or a shell runs it, also those outside that
# start an app. LD_* are refused for every app. A LANGUAGE names a file of texts, some of which are
# formats of printf(3).
_OBEYED = re.compile(
    "(GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|LOCPATH|NLSPATH|SHELLOPTS|TEXTDOMAINDIR)=|LANGUAGE=.*/"
)


def argv(
    app: AppPaths,
    release: Release,
    values: Mapping[str, str],
    program: Sequence[str],
    *,
    building: bool = False,
    own: Sequence[str] = (),
) -> list[str]:
    """The command line of a program inside the walls. What a build may write is written by nothing
    else: the code and its environment. `own` are further arguments of bubblewrap. Raises PikuError
    for a variable that programs outside would obey."""
    if bad := next((k for k, v in values.items() if _OBEYED.match(f"{k}={v}")), None):
        what = f"{bad} cannot be set with PIKU_SANDBOX=true"
        raise PikuError(f"{what}: programs outside the walls would load what it names")
    return [
        *_start(), *_private(app, building),
        *_app(app, release, building), *own,
        *(word for path in PATHS.read(values) for word in ("--bind-try", path, path)),
        *(word for hook in hooks("visible") for path in hook(app, values)
          for word in ("--ro-bind-try", path, path)),
        "--remount-ro", str(app.root), "--remount-ro", "/",
        "--", "/usr/bin/env", f"--default-signal={_SIGNALS}", *program,
    ]  # fmt: skip


def make_folders(app: AppPaths) -> None:
    """Make the folders that the app has for its own inside."""
    for folder in (app.data, app.cache, *(_own(app, name) for name in ("home", "tmp", "npm"))):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def remove_folders(app: AppPaths) -> None:
    for name in ("tmp", "npm"):
        files.remove(_own(app, name))


def temporary_folders(paths: Paths) -> list[Path]:
    """The /tmp of every app."""
    return [*(paths.root / "cache").glob(f"*{SEPARATOR}tmp")]


def _own(app: AppPaths, name: str) -> Path:
    """A folder that only this app has. It lies in none that the app may write to, where a link to
    anything could take its place."""
    return app.cache.with_name(f"{app.name}{SEPARATOR}{name}")


def _start() -> Iterator[str]:
    # By their whole names: the app's own programs come first in its PATH.
    yield from ("/usr/bin/env", f"--ignore-signal={_SIGNALS}", "/usr/bin/bwrap")
    yield from ("--unshare-pid", "--unshare-ipc", "--die-with-parent")
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))
    yield from ("--proc", "/proc", "--dev", "/dev", "--dir", SIGN)
    for name in _RUN:
        yield from ("--ro-bind-try", f"/run/{name}", f"/run/{name}")


def _private(app: AppPaths, building: bool) -> Iterator[str]:
    """The app's own folders in the place of those that all programs share."""
    sessions = "/var/lib/php/sessions"
    shared = ("/tmp", "/var/tmp", *((sessions,) if Path(sessions).is_dir() else ()))  # noqa: S108
    for place in shared:
        yield from ("--bind", str(_own(app, "tmp")), place)
    home = Path.home()
    # One of the two is usually in the other, or both are where a folder of the system was put.
    for place in sorted((str(home), str(app.root)), key=len):
        yield from ("--tmpfs", place)
        if place == str(home):
            yield from ("--bind", str(_own(app, "home")), place)
            for name in (*_TOOLS, *(_CONFIGURATION if building else ())):
                yield from ("--ro-bind-try", str(home / name), str(home / name))


def _app(app: AppPaths, release: Release, building: bool) -> Iterator[str]:
    code, environment = app.code(release.checkout), app.envs / (release.environment or "@none")
    for path in (app.data, app.cache):
        yield from ("--bind", str(path), str(path))
    for path in (code, environment):
        yield from ("--bind-try" if building else "--ro-bind-try", str(path), str(path))
    # piku runs git in the checkout, which would run what its configuration says.
    git, objects, runtimes = code / ".git", app.repo / "objects", app.cache.parent / "@runtimes"
    ready = app.root / "gopath"  # Go's modules, which somebody has put there for all apps
    for path in (*((git,) if building else ()), objects, runtimes, ready, app.logs):
        yield from ("--ro-bind-try", str(path), str(path))
    if building:
        # Packages that all apps share: one of another app's could come from here.
        yield from ("--bind", str(_own(app, "npm")), str(app.cache.parent / "@npm"))
