"""What a setting is, the core's, and the table of all that this server knows (docs/settings.md)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from piku import extra
from piku.app import checks
from piku.errors import PikuError

T = TypeVar("T")
MAX_VALUE = 64 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS = ("PIKU_", "NGINX_", "UWSGI_")
# Variables that piku gives to an app; they cannot be set.
GIVEN = frozenset((
    "APP", "HOME", "USER", "PATH", "PWD", "LOG_ROOT", "DATA_ROOT", "VIRTUAL_ENV", "PIKU_RELEASE",
    "PIKU_COMMIT", "PIKU_PROCESS",
))  # fmt: skip
# A pattern of addresses: those of the files that piku reads, in whatever folder they are.
OWN_FILES = "/(ENV|Procfile)(/|$)"


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[T]):
    """A setting that piku reads.

    `check` turns the text into a value, or raises ValueError that says what is wrong with it.
    `repository` is False for a setting that is read before any commit is, or that a push shall not
    choose, so that it cannot be in one. One that `stays` is the server's owner's to decide: a
    rollback leaves it as it is. The text of a `secret` is never shown.
    """

    name: str
    default: str = ""
    check: Callable[[str], T]
    doc: str
    repository: bool = True
    stays: bool = False
    secret: bool = False

    def read(self, values: Mapping[str, str]) -> T:
        """The checked value; raises PikuError that names the setting."""
        text = values.get(self.name, self.default).strip() or self.default
        try:
            return self.check(text)
        except ValueError as error:
            shown = "" if self.secret else f"={repr(text[:80])[1:-1]}"
            raise PikuError(f"{self.name}{shown}: {error!s:.300}", hint=self.doc) from None


# fmt: off
SERVER_NAME = Setting(name="NGINX_SERVER_NAME", check=checks.addresses,
    doc="The app's host names: a.org, b.org/blog. Without one, nginx does not serve the app.")
REDIRECT_FROM = Setting(name="NGINX_REDIRECT_FROM", check=checks.host_names,
    doc="More host names, redirected to the first one in NGINX_SERVER_NAME.")
HTTPS_ONLY = Setting(name="NGINX_HTTPS_ONLY", default="false", check=checks.boolean,
    doc="true or false: redirect every HTTP request to HTTPS, keeping host and path.")
IPV4_ADDRESS = Setting(name="NGINX_IPV4_ADDRESS", check=checks.ipv4,
    doc="The IPv4 address on which nginx listens for this app; by default all of them.")
IPV6_ADDRESS = Setting(name="NGINX_IPV6_ADDRESS", check=checks.ipv6,
    doc="The IPv6 address on which nginx listens for this app; by default all of them.")
DISABLE_IPV6 = Setting(name="DISABLE_IPV6", default="false", check=checks.boolean,
    doc="true or false: do not listen on IPv6 for this app.")
STATIC_PATHS = Setting(name="NGINX_STATIC_PATHS", check=checks.static_paths,
    doc="Files of the app or its data that nginx serves itself: /prefix1:path1,/prefix2:path2.")
CATCH_ALL = Setting(name="NGINX_CATCH_ALL",
    check=lambda text: checks.url(text and f"/{text.removeprefix('/')}"),
    doc="What to serve when a static file does not exist, such as /index.html.")
CLOUDFLARE_ACL = Setting(name="NGINX_CLOUDFLARE_ACL", default="false", check=checks.boolean,
    doc="true or false: allow only Cloudflare, and the address that deployed last.")
ALLOW_GIT = Setting(name="NGINX_ALLOW_GIT_FOLDERS", default="false", check=checks.boolean,
    doc="true or false: serve paths that begin with .git.")
INCLUDE_FILE = Setting(name="NGINX_INCLUDE_FILE", check=checks.inner_path,
    doc="A file in the repository with nginx directives, included in the app's server block.")
PORT = Setting(name="PORT", check=checks.port,
    doc="The TCP port of the app; by default piku assigns a free one.")
BIND_ADDRESS = Setting(name="BIND_ADDRESS", default="127.0.0.1", check=checks.ipv4,
    doc="The IPv4 address on which the app itself listens.")
PROCESSES = Setting(name="UWSGI_PROCESSES", default="1", check=checks.whole(1, 512),
    doc="uWSGI worker processes of a wsgi app.")
THREADS = Setting(name="UWSGI_THREADS", default="4", check=checks.whole(1, 512),
    doc="Threads of each uWSGI worker process.")
LISTEN = Setting(name="UWSGI_LISTEN", default="100", check=checks.whole(1, 65535),
    doc="Length of the queue of pending connections; at most what the kernel allows.")
MAX_REQUESTS = Setting(name="UWSGI_MAX_REQUESTS", default="1024", check=checks.whole(1, 10**9),
    doc="Requests after which a uWSGI worker process at least ten seconds old is replaced.")
IDLE = Setting(name="UWSGI_IDLE", default="0", check=checks.whole(0, 10**7),
    doc="Seconds without a request after which the app sleeps until the next one; 0 for never.")
GEVENT = Setting(name="UWSGI_GEVENT", default="0", check=checks.whole(0, 100000),
    doc="Concurrent requests of one process of a wsgi app with gevent, which the app must install.")
ASYNCIO = Setting(name="UWSGI_ASYNCIO", default="0", check=checks.whole(0, 100000),
    doc="asyncio tasks of one process of a wsgi app, which must install greenlet.")
ENABLE_THREADS = Setting(name="UWSGI_ENABLE_THREADS", default="true", check=checks.boolean,
    doc="true or false: let a wsgi app start threads; with UWSGI_THREADS above 1 it always may.")
LOG_X_FORWARDED_FOR = Setting(name="UWSGI_LOG_X_FORWARDED_FOR", default="false",
    check=checks.boolean,
    doc="true or false: log the client that X-Forwarded-For names, and pass it to the app.")
LOG_MAXSIZE = Setting(name="UWSGI_LOG_MAXSIZE", default="1048576", check=checks.whole(1024, 2**40),
    doc="Size in bytes at which a process's log is renamed to .old.")
UWSGI_INCLUDE = Setting(name="UWSGI_INCLUDE_FILE", check=checks.inner_path,
    doc="A file in the repository with uWSGI options (ini) for the app's uWSGI processes.")
PYTHON_VERSION = Setting(name="PYTHON_VERSION", default="3", check=checks.python_version,
    doc="Python version of the virtualenv, such as 3 or 3.11.")
PYTHON_INSTALLER = Setting(name="PYTHON_INSTALLER", default="pip", check=checks.choice("pip", "uv"),
    doc="What installs a requirements.txt: pip or uv. uv is faster, and must be on the server.")
NODE_VERSION = Setting(name="NODE_VERSION", check=checks.node_version,
    doc="Node.js version of the app, such as 20, 20.11 or 20.11.1; by default the server's.")
NODE_PACKAGE_MANAGER = Setting(name="NODE_PACKAGE_MANAGER", check=checks.words,
    doc="npm, yarn, pnpm or another, such as pnpm@9 --prod; by default the lock file decides.")
AUTO_RESTART = Setting(name="PIKU_AUTO_RESTART", default="true", check=checks.boolean,
    doc="true or false: whether a deploy goes live at once, or waits for `piku restart`.")
APP_DIR = Setting(name="PIKU_APP_DIR", check=checks.inner_path,
    doc="The folder of the repository with the app, such as backend; by default the top folder.")
DEPLOY_BRANCH = Setting(name="PIKU_DEPLOY_BRANCH", repository=False, check=checks.branch,
    doc="The branch that deploys; by default the first one pushed. Set it with config:set.")
DEPLOY_STRATEGY = Setting(name="PIKU_DEPLOY_STRATEGY", default="overlap",
    check=checks.choice("overlap", "recreate"),
    doc="overlap: the new release starts beside the old one. recreate: the old one stops first.")
DEPLOY_TIMEOUT = Setting(name="PIKU_DEPLOY_TIMEOUT", default="60", check=checks.whole(1, 3600),
    doc="Seconds within which the processes of a release must be healthy.")
BUILD_TIMEOUT = Setting(name="PIKU_BUILD_TIMEOUT", default="1800", check=checks.whole(1, 86400),
    doc="Seconds after which a build, preflight or release command is killed.")
DRAIN_TIMEOUT = Setting(name="PIKU_DRAIN_TIMEOUT", default="30", check=checks.whole(0, 3600),
    doc="Seconds for which an old release may finish the requests that it has begun.")
STOP_TIMEOUT = Setting(name="PIKU_STOP_TIMEOUT", default="10", check=checks.whole(1, 3600),
    doc="Seconds between SIGTERM and SIGKILL when a process is stopped.")
HEALTHCHECK_PATH = Setting(name="PIKU_HEALTHCHECK_PATH", check=checks.url_path,
    doc="A path that a new release must answer below 500 before it goes live.")
HEALTHCHECK = Setting(name="PIKU_HEALTHCHECK", default="http", check=checks.choice("http", "tcp"),
    doc="http: a new release must answer HTTP without new server errors. tcp: it must only listen.")
KEEP_RELEASES = Setting(name="PIKU_KEEP_RELEASES", default="5", check=checks.whole(1, 1000),
    doc="How many releases keep their code and environment, so that rollback can use them.")
# fmt: on

CORE: tuple[Setting[Any], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Setting)
)


def never_served(values: Mapping[str, str]) -> str:
    """A pattern of addresses: those of files that usually hold secrets, and of git's own."""
    git = "" if ALLOW_GIT.read(values) else "|git"
    return rf"/\.(?i:env|ht|npmrc|netrc|pypirc|aws|ssh{git})"


def table() -> dict[str, Setting[Any]]:
    """Every setting by its name: the core's, then those of the installed extras."""
    extras = (setting for rows in extra.hooks("settings") for setting in rows)
    return {setting.name: setting for setting in (*CORE, *extras)}


def check_pair(name: str, value: str) -> None:
    """Refuse a name or value that cannot reach a process unchanged."""
    if not _NAME.fullmatch(name):
        hint = "names have letters, digits and '_', as in DATABASE_URL"
        raise PikuError(f"{name[:80]!r} is not a setting's name", hint=hint)
    if name in GIVEN:
        raise PikuError(f"{name} is given to the app by piku and cannot be set")
    if name.startswith("LD_"):
        raise PikuError(f"{name} cannot be set: it changes how every program of the app is loaded")
    if "\0" in value or (value[-1:].isspace() and "@(" in value):
        what = "contains a NUL" if "\0" in value else "contains '@(' and ends with a blank"
        raise PikuError(f"the value of {name} {what}: uWSGI cannot hand it on")
    if len(value.encode(errors="replace")) > MAX_VALUE:
        raise PikuError(f"the value of {name} is longer than {MAX_VALUE // 1024} kB")


def check_all(values: Mapping[str, str]) -> None:
    """Check every setting in `values`; raises PikuError for a wrong or unknown one of piku's."""
    known = table()
    for name, value in values.items():
        check_pair(name, value)
        if name in known:
            known[name].read(values)
        elif name.startswith(_OURS) and name not in GIVEN:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "docs/settings.md lists all settings"
            raise PikuError(f"{name} is not a setting of this version of piku", hint=hint)


def refuse_in_repository(values: Mapping[str, str]) -> None:
    """Refuse settings in a repository's ENV that are read before any commit is."""
    for setting in table().values():
        if not setting.repository and setting.name in values:
            raise PikuError(
                f"ENV: {setting.name} cannot be set in the repository",
                hint="set it with `piku config:set`",
            )
