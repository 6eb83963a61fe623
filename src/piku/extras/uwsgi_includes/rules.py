"""What an app's own file for uWSGI may say: no second emperor, no socket outside the app's folders,
and no file of piku or of another app."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from piku import files
from piku.deploy import process_config
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.errors import PikuError
from piku.extras.uwsgi_includes import dry_run

# These make of a process what starts, routes to or replaces others.
_NEVER = re.compile(
    r"emperor.*|vassal.*|legion.*|zerg.*|.*router.*|subscri.*|.*-subscri.*|daemonize2?"
    r"|xml(config)?|ya?ml|json|js|config|sqlite3|ldap|(ini-)?paste.*"
)
# What listens: uWSGI removes a socket that is there already.
_PLACES = re.compile(
    r"(?!(chmod|chown|abstract|map)-)(.*-)?socket|https?2?|(.*-)?stats(-server)?|snmp|udp|multicast"
)
_NESTED = ("ini", "include", "inherit")
_OPTION = re.compile(r"^[ \t]*([^\s;#\[=][^=\n]*?)[ \t]*(?:=[ \t]*(.*?))?[ \t\r]*$", re.MULTILINE)
_PATH = re.compile(r"[\w.@+~-]*(?:/[\w.@+~-]*)+")


def check(deployment: Deployment, process: Process) -> tuple[()]:
    """Raise PikuError for an option of UWSGI_INCLUDE_FILE that concerns more than the app, or that
    uWSGI does not know."""
    if place := process_config.include(deployment, process):
        file = Path(place)
        _Reader(deployment, process).read((file,))
        dry_run.check(deployment, process, file)
    return ()


class _Reader:
    """Reads files as uWSGI does: `known` are the placeholders so far."""

    def __init__(self, deployment: Deployment, process: Process) -> None:
        app = deployment.app
        code = app.code(str(deployment.checkout.relative_to(app.releases)))
        self._root = deployment.paths.root.resolve()
        self._code = code.resolve()
        self._checkout = deployment.checkout.resolve()
        self._own = [each.resolve() for each in (app.releases, app.data, app.cache, app.logs)]
        self._own += [app.envs.resolve(), app.live_link]
        self._variables = deployment.variables(process)
        self._known: dict[str, str] = {}

    def read(self, around: tuple[Path, ...]) -> None:
        """Check the last of these files, of which each includes the next one."""
        file = around[-1]
        for name, value in _options(files.read(file).replace("\0", "\n")):
            said = f"{name} = {value}"
            found = self._expanded(value, file)
            if _NEVER.fullmatch(name) or not re.fullmatch(r"[\w.-]+", name):
                _refuse(said, "piku starts and finds the processes of all apps itself")
            if name in _NESTED:
                place = Path(os.path.realpath(file.parent / found.partition(":")[0]))
                inside = place.is_relative_to(self._code) and os.path.isfile(place)
                if not inside or place in around:
                    _refuse(said, "include files of the repository, as %dFILE")
                self.read((*around, place))
            elif _PLACES.fullmatch(name) and not self._is_own(found):
                _refuse(said, f"give a path in DATA_ROOT, such as {self._own[1]}/uwsgi.{name}")
            for path in _PATH.findall(found):
                place = Path(os.path.realpath(self._checkout / path))
                if place.is_relative_to(self._root) and not self._is_own(path):
                    _refuse(said, f"{path} is not the app's own")
            self._known[name] = found
            if name in ("set-placeholder", "set-ph", "set"):
                self._known.update([found.partition("=")[::2]])

    def _expanded(self, value: str, file: Path) -> str:
        def fill(found: re.Match[str]) -> str:
            whole, placeholder, variable = found.group(0, 1, 2)
            known: Mapping[str, str] = {"%%": "%", "%d": f"{file.parent}/", "%p": str(file)}
            if placeholder:
                return self._known.get(placeholder, whole)
            return self._variables.get(variable, whole) if variable else known.get(whole, whole)

        return re.sub(r"%\(([\w.-]+)\)|\$\((\w+)\)|%.", fill, value)

    def _is_own(self, path: str) -> bool:
        place = Path(os.path.realpath(self._checkout / path))
        fixed = not re.search(r"[$@%]\(", path) and "/" in path
        return fixed and any(place.is_relative_to(os.path.realpath(own)) for own in self._own)


def _options(text: str) -> Iterator[tuple[str, str]]:
    # uWSGI goes on in the next line after a "%" at the end of one, not after "%%".
    for found in _OPTION.finditer(re.sub(r"(?<!%)%\n", "", text)):
        yield found[1], found[2] or ""


def _refuse(what: str, hint: str) -> NoReturn:
    raise PikuError(f"UWSGI_INCLUDE_FILE may not have {what}", hint=hint)
