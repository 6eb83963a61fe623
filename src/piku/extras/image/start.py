"""`/piku/start TYPE`: how a process of an app starts in a container. Pure."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from piku import subprocesses
from piku.app import settings
from piku.app.procfile import UWSGI_SERVED
from piku.deploy.revision import Revision
from piku.uwsgi import ini
from piku.uwsgi.ini import Pairs

FOLDER = Path("/piku")
_QUEUE = 100  # connections: a container's network allows 128 at least
_ADDRESS = "@ADDRESS@"
_ANY = "0.0.0.0"  # noqa: S104 (the engine says who reaches it)
_OF_A_LOG = ("log-maxsize", "log-backupname", "log-master", "logfile-", "exec-pre", "threaded-log")
# Where Swarm and Compose put a secret of that name: the app's settings, as lines of sh. The port is
# the engine's to choose. A program that is the first process would ignore SIGTERM and reap nothing.
_SCRIPT = """\
#!/bin/sh
# Starts a process of the app: start TYPE, or start -- PROGRAM ARGUMENT...
port=${PORT-}
settings=${PIKU_SETTINGS_FILE:-/run/secrets/piku-settings}
if [ -r "$settings" ]; then . "$settings"; fi
PORT=${port:-${PORT:-8000}}
export PORT BIND_ADDRESS=%(any)s
%(variables)s
cd -- %(checkout)s || exit 1
case "${1-}" in
--) shift ;;
%(commands)s
*) echo "start: there is no process type '${1-}' (there are: %(types)s)" >&2; exit 2 ;;
esac
if [ $$ = 1 ] && [ "$1" != uwsgi ]; then exec tini -g -- "$@"; fi
exec "$@"
"""


def script(found: Revision, fixed: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """The text of /piku/start: the process types with `fixed` variables, and with `defaults` where
    the settings have nothing else."""
    types = {
        kind: ["uwsgi", "--ini", str(FOLDER / f"{kind}.ini")]
        if kind in UWSGI_SERVED
        else subprocesses.shell(entry.command)
        for kind, entry in found.procfile.entries.items()
        if kind != "static"  # nginx serves it
    }
    lines = [f'[ "${{{k}+set}}" ] || {k}={shlex.quote(v)}; export {k}' for k, v in defaults.items()]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in fixed.items()]
    cases = [f"{kind}) set -- {shlex.join(argv)} ;;" for kind, argv in types.items()]
    return _SCRIPT % {
        "any": _ANY,
        "variables": "\n".join(lines),
        "checkout": shlex.quote(str(found.context.checkout)),
        "commands": "\n".join(cases),
        "types": " ".join(types),
    }


def served(found: Revision, kind: str, language: Pairs, threads: int) -> str:
    """The ini of what uWSGI serves: HTTP on the container's port, logs on its standard output."""
    wanted, folder = settings.UWSGI_INCLUDE.read(found.values), str(found.context.checkout)
    include = f"{folder}/{wanted}" if wanted else ""
    vassal = ini.Vassal(values=found.values, checkout=folder, envdir="", log="", include=include)
    text = ini.served(vassal, kind, language, address=_ADDRESS, threads=threads, listen=_QUEUE)
    lines = (line for line in text.splitlines() if not line.startswith(_OF_A_LOG))
    # What users wrote may have no `$(`; this one is ours.
    return "\n".join((*lines, "")).replace(_ADDRESS, f"{_ANY}:$(PORT)")
