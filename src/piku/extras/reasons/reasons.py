"""How languages report what ended a program, and what there is to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from piku.deploy import health
from piku.deploy.releases import Process
from piku.paths import AppPaths, Paths

if TYPE_CHECKING:
    from piku.deploy.deployment import Deployment

# The line that names the error: in most languages, a stack of calls is above or below it.
_REPORTS = re.compile(
    r"(?:Uncaught )?(?:[\w$]+\.)*\w*(?:Error|Exception)(?: \[\w+\])?: ."  # Python, Node.js
    r"|(?:[a-z_]+\.)+[A-Z]\w+: ."  # an exception of a Python package
    r"|Exception in thread .|Caused by: ."  # Java
    r"|panic: .|fatal error: ."  # Go
    r"|(?:PHP )?(?:Fatal|Parse) error: ."
    r"|thread '.*' panicked at ."  # Rust
    r"|\*\* \(\w+(?:\.\w+)*\) ."  # Elixir
    r"|.*: .* \((?:\w+::)*\w*(?:Error|Exception)\)$"  # Ruby
    r"|bash: line \d+: .*: command not found"
)


@dataclass(frozen=True, kw_only=True)
class Help:
    """What to do where a log has this text; the words between braces are filled in. `own`: only
    where the name that it finds is in the process's command."""

    text: str
    fix: str
    own: bool = False


_HELP = (
    Help(
        text=r"EADDRINUSE|[Aa]ddress already in use|Errno 98",
        fix="two releases cannot have one port: listen on $PORT, or let the old release stop first:"
        " piku config:set {app} PIKU_DEPLOY_STRATEGY=recreate",
    ),
    Help(
        text=r"listen EACCES|bind.*permission denied",
        fix="an app cannot listen on a port below 1024, as nginx does: listen on $PORT",
    ),
    Help(
        text=r"Cannot find module '/\S*/releases/[^/']+/[^/']+/(?P<name>[^']+)'",
        fix="{name} is not in this release: commit it, or let the build make it",
    ),
    Help(
        text=r"Cannot find (?:module|package) '(?P<name>(?:@[^/']+/)?[^./'][^/']*)",
        fix="add it: npm install {name}, and commit package.json and package-lock.json",
    ),
    Help(
        text=r'Missing script: "(?P<name>[^"]+)"',
        fix='add "{name}" to the scripts of package.json, or name another in the Procfile',
    ),
    Help(
        text=r"(?:No module named '|Could not import module \")(?P<name>\w+)",
        fix="the Procfile names the module {name}: commit {name}.py, or correct the name",
        own=True,
    ),
    Help(
        text=r"No module named '(?P<name>\w+)",
        fix="add the package that provides the module {name} to the app's requirements",
    ),
    Help(
        text=r"raise KeyError\(key\) from None\nKeyError: '(?P<name>[A-Z][A-Z0-9_]*)'",
        fix="the app asks for a variable that is not set: piku config:set {app} {name}=…",
    ),
    Help(
        text=r"cannot load such file -- (?P<name>[\w-]+)",
        fix="add the gem that provides {name} to the Gemfile: bundle add {name}",
    ),
    Help(
        text=r"bash: line \d+: (?P<name>[^/\s]+): command not found",
        fix="the app's environment has no program {name}: add the package that provides it to"
        " the app's requirements",
    ),
    Help(
        text=r"required positional argument: 'send'",
        fix="{command} is an ASGI application, which uWSGI cannot serve; add uvicorn to its"
        " requirements and write: web: uvicorn {command} --host $BIND_ADDRESS --port $PORT",
    ),
    Help(
        text=r"\(callable not found or import error\)",
        fix="the module of {command} has no callable of that name, or cannot be imported",
    ),
)


def explain(deployment: Deployment, process: Process, log: Sequence[str]) -> tuple[str, str]:
    """The line of a log that says why a process is not well, and what to do; each may be empty."""
    command = deployment.revision.procfile.command(process.kind)
    fix = remedy("\n".join(log), app=deployment.app.name, command=command)
    if not fix and process.kind == "web" and health.ending(deployment.app, process) == 0:
        fix = f"its command came to its end: it must run on, and listen on $PORT: {command}"
    return report(log), fix


def report(log: Sequence[str]) -> str:
    """The last line that names an error; empty when none does."""
    return next((line for line in reversed(log) if _REPORTS.match(line)), "")


def remedy(text: str, **words: str) -> str:
    """What to do by what a log says; `words` are the app's name and the process's command."""
    for one in _HELP:
        found = re.search(one.text, text)
        if found and not (one.own and found["name"] not in re.findall(r"\w+", words["command"])):
            return one.fix.format(**words, **found.groupdict())
    return ""


def notes(_paths: Paths, app: AppPaths) -> list[str]:
    """What `ps` says of an app that nginx does not serve."""
    if not app.refused.exists():
        return []
    return [
        f"{app.name} is NOT served: nginx refuses {app.refused.name}; deploy it again to see why"
    ]
