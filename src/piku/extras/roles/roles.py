"""Who may use which command: decided once, before the command runs."""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product

import click

from piku.cli.common import positional
from piku.errors import PikuError
from piku.extras.roles import quota
from piku.paths import AppName, Paths
from piku.ssh import git

READ, DEPLOY, ADMIN = "read", "deploy", "admin"
_RANKS = (READ, DEPLOY, ADMIN)  # each may do what those before it may

_DATABASES = ("mariadb", "postgres", "redis", "sqlite")
_VERBS = ("connect", "create", "destroy", "dump", "info", "link", "restore")

# The role that a command needs at least; what is not here, such as a plugin's, needs `admin`.
COMMANDS: Mapping[str, str] = {
    "alerts": ADMIN,  # addresses
    "alerts:test": ADMIN,
    "apps": READ,
    "apps:clone": ADMIN,
    "apps:create": DEPLOY,
    "apps:move": ADMIN,
    "apps:rename": ADMIN,
    "audit": ADMIN,
    "backup": ADMIN,  # secrets
    "backup:run": ADMIN,
    "backup:schedule": ADMIN,
    "backup:verify": ADMIN,
    "certs": READ,
    "certs:add": ADMIN,
    "certs:remove": ADMIN,
    "certs:renew": ADMIN,
    "cluster:init": ADMIN,
    "cluster:join": ADMIN,
    "cluster:leave": ADMIN,
    "cluster:nodes": READ,
    "config": ADMIN,  # secrets
    "config:get": ADMIN,
    "config:live": ADMIN,
    "config:set": ADMIN,
    "config:unset": ADMIN,
    "cron": READ,
    "cron:run": ADMIN,
    "deploy": DEPLOY,
    "deploy-key": ADMIN,
    "destroy": ADMIN,
    "doctor": READ,
    "git-hook": ADMIN,
    "git-lfs-transfer": READ,
    "git-receive-pack": DEPLOY,
    "git-upload-pack": READ,
    "help": READ,
    "export": ADMIN,  # secrets
    "housekeeping": ADMIN,
    "image": ADMIN,  # it writes where it is told
    "keys": ADMIN,
    "keys:add": ADMIN,
    "keys:remove": ADMIN,
    "logs": READ,
    "maintenance:off": ADMIN,
    "maintenance:on": ADMIN,
    "metrics": READ,
    "metrics:off": ADMIN,
    "metrics:on": ADMIN,
    "page:off": ADMIN,
    "page:on": ADMIN,
    "ps": READ,
    "ps:scale": ADMIN,
    "ps:stop": ADMIN,
    "pull": DEPLOY,
    "releases": READ,
    "restart": DEPLOY,
    "restore": ADMIN,
    "rollback": DEPLOY,
    "run": ADMIN,
    "scp": ADMIN,  # it reaches every file
    "serve:emperor": ADMIN,
    "serve:nginx": ADMIN,
    "setup": ADMIN,
    "setup:ssh": ADMIN,
    "status": READ,
    "stop": ADMIN,
    "up": ADMIN,
    "update": ADMIN,
    "url": READ,
    "webhook": ADMIN,  # its secret
    **{f"{kind}:{verb}": ADMIN for kind, verb in product(_DATABASES, _VERBS)},  # secrets
}
# Words that need more than their command does. With --from, the server's own access is used.
WORDS = {
    ("deploy", "--from"): ADMIN,
    ("git-lfs-transfer", "upload"): DEPLOY,
    ("pull", "--webhook"): ADMIN,
}
_MAKE_APPS = ("apps:create", "deploy", "git-lfs-transfer", "git-receive-pack")
_OVERVIEWS = ("apps", "help", "ps", "status")  # without an app, they show those of the key


class _OwnPaths(Paths):
    """The server as a key sees it that is for some of its apps."""

    pattern = "*"

    def app_names(self) -> list[AppName]:
        return [name for name in super().app_names() if fnmatchcase(name, self.pattern)]


def authorize(context: click.Context, command: click.Command, words: Sequence[str]) -> None:
    """Return if the key of this SSH client may use the command; raises PikuError, which says the
    role that it takes."""
    role, pattern = os.environ["PIKU_ROLE"], os.environ.get("PIKU_APPS", "*")
    name, who = str(command.name), f"the key {os.environ.get('NAME', '')!r}"
    needed, what = needs(name, words)
    if role not in _RANKS or _RANKS.index(role) < _RANKS.index(needed):
        raise PikuError(f"{what!r} needs the role {needed}: {who} has the role {role}")
    if role == ADMIN:
        return
    app = _app(command, words)
    if app and not fnmatchcase(app, pattern):
        raise PikuError(f"{who} is for apps called {pattern!r}: {app!r} needs the role {ADMIN}")
    if not app and pattern != "*" and name not in _OVERVIEWS:
        raise PikuError(f"{who} is for apps called {pattern!r}: name one after {name!r}", code=2)
    paths: Paths = context.obj
    own = _OwnPaths(root=paths.root, home=paths.home)
    own.pattern = pattern
    if app and name in _MAKE_APPS and needed != READ:
        quota.check([own.app(one) for one in own.app_names()], own.app(app), os.environ)
    if name in _OVERVIEWS:
        context.obj = own


def needs(name: str, words: Sequence[str]) -> tuple[str, str]:
    """The role that a command with these words needs, and what of them needs it."""
    for (command, special), role in WORDS.items():
        if command == name and any(word.partition("=")[0] == special for word in words):
            return role, f"{name} {special}"
    return COMMANDS.get(name, ADMIN), name


def _app(command: click.Command, words: Sequence[str]) -> AppName | None:
    """The app that a command is about, read as the command itself will read it."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    given = positional(command, words)
    if not given or not arguments or arguments[0].name not in ("app", "path"):
        return None
    return git.app_from_path(given[0]) if arguments[0].name == "path" else AppName.parse(given[0])
