"""Settings: the typed table of those that piku reads, and the text that people write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from piku.app import checks
from piku.errors import PikuError

T = TypeVar("T")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_OURS = ("PIKU_", "NGINX_", "UWSGI_")
_GIVEN = (
    "APP",
    "HOME",
    "USER",
    "PATH",
    "PWD",
    "LOG_ROOT",
    "DATA_ROOT",
    "VIRTUAL_ENV",
    "PIKU_RELEASE",
    "PIKU_COMMIT",
)
MAX_VALUE = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[T]):
    """A setting that piku itself reads.

    `check` turns its text into a value or raises ValueError with what is wrong. `repository` is
    off for what must be known before any commit is looked at.
    """

    name: str
    default: str
    check: Callable[[str], T]
    doc: str
    repository: bool = True

    def read(self, values: Mapping[str, str]) -> T:
        """The checked value; raises PikuError that names the setting."""
        text = values.get(self.name, self.default).strip() or self.default
        try:
            return self.check(text)
        except ValueError as error:
            raise PikuError(f"{self.name}={text[:80]}: {error}", hint=self.doc) from None


SERVER_NAME = Setting(name="NGINX_SERVER_NAME", default="", check=checks.host_names,
    doc="Host names of the app, separated by commas. Without one, nginx does not serve the app.")  # fmt: skip
HTTPS_ONLY = Setting(name="NGINX_HTTPS_ONLY", default="false", check=checks.boolean,
    doc="true or false: redirect every HTTP request to HTTPS, keeping host and path.")  # fmt: skip
IPV4_ADDRESS = Setting(name="NGINX_IPV4_ADDRESS", default="", check=checks.ipv4,
    doc="The IPv4 address on which nginx listens for this app; by default every one.")  # fmt: skip
IPV6_ADDRESS = Setting(name="NGINX_IPV6_ADDRESS", default="", check=checks.ipv6,
    doc="The IPv6 address on which nginx listens for this app; by default every one.")  # fmt: skip
DISABLE_IPV6 = Setting(name="DISABLE_IPV6", default="false", check=checks.boolean,
    doc="true or false: do not listen on IPv6 for this app.")  # fmt: skip
ALLOW_GIT = Setting(name="NGINX_ALLOW_GIT_FOLDERS", default="false", check=checks.boolean,
    doc="true or false: let clients fetch paths that begin with .git.")  # fmt: skip
INCLUDE_FILE = Setting(name="NGINX_INCLUDE_FILE", default="", check=checks.inner_path,
    doc="A file of the repository with nginx directives, included in the app's server block.")  # fmt: skip
PORT = Setting(name="PORT", default="", check=checks.port,
    doc="The TCP port of the app; by default a free one is assigned and kept.")  # fmt: skip
BIND_ADDRESS = Setting(name="BIND_ADDRESS", default="127.0.0.1", check=checks.ipv4,
    doc="The IPv4 address on which the app itself listens.")  # fmt: skip
PROCESSES = Setting(name="UWSGI_PROCESSES", default="1", check=checks.whole(1, 512),
    doc="uWSGI worker processes of a wsgi app.")  # fmt: skip
THREADS = Setting(name="UWSGI_THREADS", default="4", check=checks.whole(1, 512),
    doc="Threads of each uWSGI worker process.")  # fmt: skip
LISTEN = Setting(name="UWSGI_LISTEN", default="100", check=checks.whole(1, 65535),
    doc="Length of the queue of connections not yet accepted; at most what the kernel allows.")  # fmt: skip
MAX_REQUESTS = Setting(name="UWSGI_MAX_REQUESTS", default="1024", check=checks.whole(1, 10**9),
    doc="Requests after which a uWSGI worker process is replaced by a fresh one.")  # fmt: skip
GEVENT = Setting(name="UWSGI_GEVENT", default="0", check=checks.whole(0, 100000),
    doc="Requests that one process of a wsgi app answers at a time with gevent, which it needs.")  # fmt: skip
ASYNCIO = Setting(name="UWSGI_ASYNCIO", default="0", check=checks.whole(0, 100000),
    doc="asyncio tasks of one process of a wsgi app; the app needs greenlet.")  # fmt: skip
ENABLE_THREADS = Setting(name="UWSGI_ENABLE_THREADS", default="true", check=checks.boolean,
    doc="true or false: let a wsgi app start threads of its own.")  # fmt: skip
LOG_MAXSIZE = Setting(name="UWSGI_LOG_MAXSIZE", default="1048576", check=checks.whole(1024, 2**40),
    doc="Size in bytes at which a process's log is renamed to .old.")  # fmt: skip
PYTHON_VERSION = Setting(name="PYTHON_VERSION", default="3", check=checks.python_version,
    doc="Python version of the virtualenv, such as 3 or 3.11.")  # fmt: skip
PYTHON_INSTALLER = Setting(name="PYTHON_INSTALLER", default="pip", check=checks.choice("pip", "uv"),
    doc="pip or uv: what installs a requirements.txt. uv is faster; it must be on the server.")  # fmt: skip
NODE_VERSION = Setting(name="NODE_VERSION", default="", check=checks.node_version,
    doc="Node.js version of the app, such as 20, 20.11 or 20.11.1; by default the server's.")  # fmt: skip
NODE_PACKAGE_MANAGER = Setting(name="NODE_PACKAGE_MANAGER", default="", check=checks.words,
    doc="npm, yarn, pnpm or another, also with a version and options: pnpm@9 --prod. By default npm,"
    " or the one whose lock file the repository has.")  # fmt: skip
AUTO_RESTART = Setting(name="PIKU_AUTO_RESTART", default="true", check=checks.boolean,
    doc="true or false: whether a deploy goes live at once, or waits for `piku restart`.")  # fmt: skip
DEPLOY_BRANCH = Setting(name="PIKU_DEPLOY_BRANCH", default="", repository=False, check=checks.branch,
    doc="The branch that deploys; by default the first one pushed. Set with config:set.")  # fmt: skip
DEPLOY_STRATEGY = Setting(name="PIKU_DEPLOY_STRATEGY", default="overlap",
    check=checks.choice("overlap", "recreate"),
    doc="overlap: a release starts beside the one before it. recreate: that one stops first.")  # fmt: skip
DEPLOY_TIMEOUT = Setting(name="PIKU_DEPLOY_TIMEOUT", default="60", check=checks.whole(1, 3600),
    doc="Seconds within which the processes of a release must be healthy.")  # fmt: skip
BUILD_TIMEOUT = Setting(name="PIKU_BUILD_TIMEOUT", default="1800", check=checks.whole(1, 86400),
    doc="Seconds after which a build, preflight or release command is ended.")  # fmt: skip
DRAIN_TIMEOUT = Setting(name="PIKU_DRAIN_TIMEOUT", default="30", check=checks.whole(0, 3600),
    doc="Seconds for which an old release may finish the requests it has begun.")  # fmt: skip
STOP_TIMEOUT = Setting(name="PIKU_STOP_TIMEOUT", default="10", check=checks.whole(1, 3600),
    doc="Seconds between SIGTERM and SIGKILL when a process is stopped.")  # fmt: skip
HEALTHCHECK_PATH = Setting(name="PIKU_HEALTHCHECK_PATH", default="", check=checks.url_path,
    doc="A path that a new release must answer below 500 before it goes live.")  # fmt: skip
PERSIST = Setting(name="PIKU_PERSIST", default="", check=checks.inner_paths,
    doc="Paths, separated by commas, kept in the data folder and linked into each release.")  # fmt: skip
KEEP_RELEASES = Setting(name="PIKU_KEEP_RELEASES", default="5", check=checks.whole(1, 1000),
    doc="How many releases keep their code and environment, so that they can be rolled back to.")  # fmt: skip

ALL: tuple[Setting[Any], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Setting)
)


def check_all(values: Mapping[str, str]) -> None:
    """Check every setting of ours in `values`; raises PikuError for the first wrong or unknown one."""
    known = {setting.name: setting for setting in ALL}
    for name in values:
        if name in known:
            known[name].read(values)
        elif name.startswith(_OURS) and name not in _GIVEN:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see docs/settings.md for those there are"
            raise PikuError(f"{name} is not a setting of this version of piku", hint=hint)


def check_pair(key: str, value: str) -> None:
    """Refuse a name or value that cannot be stored and handed to a process unchanged."""
    if not _KEY.fullmatch(key):
        raise PikuError(
            f"{key[:80]!r} is not a setting's name",
            hint="names have letters, digits and '_', as in DATABASE_URL",
        )
    if key in _GIVEN:
        raise PikuError(f"{key} is given to the app by piku and cannot be set")
    if key.startswith("LD_"):
        raise PikuError(f"{key} cannot be set: it changes how every program of the app is loaded")
    if "\n" in value or "\r" in value or "\0" in value:
        raise PikuError(
            f"the value of {key} has more than one line", hint="encode it first, for example with base64"
        )
    if len(value.encode(errors="surrogateescape")) > MAX_VALUE:
        raise PikuError(f"the value of {key} is longer than {MAX_VALUE // 1024} kB")


def parse_literal(text: str) -> dict[str, str]:
    """The file that config:set keeps: each value is exactly what stands after the first '='."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def render_literal(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def parse_file(text: str, lower: Mapping[str, str], *, source: str = "ENV") -> dict[str, str]:
    """An ENV file that a person wrote (design page, "ENV settings").

    Comments and blank lines are skipped, `$NAME` and `${NAME}` are replaced from earlier lines and
    the layers below, an unknown name stays as it is. A value in single quotes is taken literally.
    Raises PikuError that names the line.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        key = key.strip()
        if not equals:
            raise PikuError(f"{source} line {number}: {stripped[:60]!r} is not of the form NAME=value")
        expanded = _expand(value.strip(), {**lower, **values})
        try:
            check_pair(key, expanded)
        except PikuError as error:
            raise PikuError(f"{source} line {number}: {error.message}", hint=error.hint) from None
        values[key] = expanded
    return values


def _expand(value: str, known: Mapping[str, str]) -> str:
    quote = value[0] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else ""
    inner = value[1:-1] if quote else value
    if quote == "'":
        return inner
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), inner)


def refuse_unrepeatable(values: Mapping[str, str]) -> None:
    """Refuse settings in a repository's ENV that are read before any commit is."""
    for setting in ALL:
        if not setting.repository and setting.name in values:
            raise PikuError(
                f"ENV: {setting.name} cannot be set in the repository", hint="set it with `piku config:set`"
            )
