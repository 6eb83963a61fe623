"""Settings: the typed table of those that piku reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from piku.app import checks, nginx_checks, schedule
from piku.errors import PikuError
from piku.extras.limits import checks as checks_module
from piku.extras.log_drain import setting as setting_module

T = TypeVar("T")
_OURS = ("PIKU_", "NGINX_", "UWSGI_")
# What piku itself tells an app.
GIVEN = (
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
    "PIKU_PROCESS",
)


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[T]):
    """A setting that piku itself reads.

    `check` turns its text into a value or raises ValueError with what is wrong. `repository` is
    off for what must be known before any commit is looked at. The text of a `secret` is never shown.
    """

    name: str
    default: str
    check: Callable[[str], T]
    doc: str
    repository: bool = True
    secret: bool = False

    def read(self, values: Mapping[str, str]) -> T:
        """The checked value; raises PikuError that names the setting."""
        text = values.get(self.name, self.default).strip() or self.default
        try:
            return self.check(text)
        except ValueError as error:
            shown = "" if self.secret else f"={_printable(text[:80])}"
            raise PikuError(f"{self.name}{shown}: {error}", hint=self.doc) from None


def _printable(text: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


SERVER_NAME = Setting(name="NGINX_SERVER_NAME", default="", check=checks.host_names,
    doc="Host names of the app, separated by commas. Without one, nginx does not serve the app.")  # fmt: skip
REDIRECT_FROM = Setting(name="NGINX_REDIRECT_FROM", default="", check=checks.host_names,
    doc="More host names, whose requests are redirected to the first of NGINX_SERVER_NAME.")  # fmt: skip
HTTPS_ONLY = Setting(name="NGINX_HTTPS_ONLY", default="false", check=checks.boolean,
    doc="true or false: redirect every HTTP request to HTTPS, keeping host and path.")  # fmt: skip
HSTS = Setting(name="NGINX_HSTS", default="false", check=nginx_checks.hsts,
    doc="Have browsers use HTTPS alone for that many seconds (true: a year); may be followed by"
    " includeSubDomains and preload. Never sent with a self-signed certificate.")  # fmt: skip
IPV4_ADDRESS = Setting(name="NGINX_IPV4_ADDRESS", default="", check=checks.ipv4,
    doc="The IPv4 address on which nginx listens for this app; by default every one.")  # fmt: skip
IPV6_ADDRESS = Setting(name="NGINX_IPV6_ADDRESS", default="", check=checks.ipv6,
    doc="The IPv6 address on which nginx listens for this app; by default every one.")  # fmt: skip
DISABLE_IPV6 = Setting(name="DISABLE_IPV6", default="false", check=checks.boolean,
    doc="true or false: do not listen on IPv6 for this app.")  # fmt: skip
STATIC_PATHS = Setting(name="NGINX_STATIC_PATHS", default="", check=nginx_checks.static_paths,
    doc="Files that nginx serves itself: /prefix1:path1,/prefix2:path2. A path is relative to the app's"
    " folder, or absolute and inside an app's folder in data, cache or apps of the piku root.")  # fmt: skip
CATCH_ALL = Setting(name="NGINX_CATCH_ALL", default="", check=nginx_checks.url,
    doc="What answers when there is no such static file, such as /index.html.")  # fmt: skip
CACHE_PREFIXES = Setting(name="NGINX_CACHE_PREFIXES", default="", check=nginx_checks.cache_prefixes,
    doc="Prefixes of addresses whose answers nginx keeps: prefix1|prefix2|prefix3.")  # fmt: skip
CACHE_SIZE = Setting(name="NGINX_CACHE_SIZE", default="1", check=checks.whole(1, 10000),
    doc="Size in gigabytes that the kept answers may have together.")  # fmt: skip
CACHE_TIME = Setting(name="NGINX_CACHE_TIME", default="3600", check=checks.whole(0, 10**9),
    doc="Seconds for which an answer with content (200) is kept.")  # fmt: skip
CACHE_CONTROL = Setting(name="NGINX_CACHE_CONTROL", default="3600", check=checks.whole(0, 10**9),
    doc="Seconds for which browsers are told to keep what is below the cache prefixes, unless the app itself"
    " says something about it.")  # fmt: skip
CACHE_REDIRECTS = Setting(name="NGINX_CACHE_REDIRECTS", default="3600", check=checks.whole(0, 10**9),
    doc="Seconds for which a redirect is kept.")  # fmt: skip
CACHE_ANY = Setting(name="NGINX_CACHE_ANY", default="3600", check=checks.whole(0, 10**9),
    doc="Seconds for which any other answer is kept, errors of the server excepted.")  # fmt: skip
CACHE_EXPIRY = Setting(name="NGINX_CACHE_EXPIRY", default="86400", check=checks.whole(1, 10**9),
    doc="Seconds after which a kept answer that nobody asks for is removed.")  # fmt: skip
CACHE_PATH = Setting(name="NGINX_CACHE_PATH", default="", check=nginx_checks.file_path,
    doc="Where the answers are kept: a path inside the app's cache folder, or an absolute one inside that or"
    " its data folder; by default the folder nginx in the app's cache folder.")  # fmt: skip
CLOUDFLARE_ACL = Setting(name="NGINX_CLOUDFLARE_ACL", default="false", check=checks.boolean,
    doc="true or false: let in only Cloudflare, and the address that deployed last.")  # fmt: skip
CLOUDFLARE_API = Setting(name="PIKU_CLOUDFLARE_API", default="https://api.cloudflare.com/client/v4/ips",
    check=nginx_checks.http_url, repository=False,
    doc="Where the addresses of Cloudflare are asked for.")  # fmt: skip
BASIC_AUTH = Setting(name="NGINX_BASIC_AUTH", default="", check=nginx_checks.passwords, secret=True,
    doc="Who may see the app: user:hash, several separated by commas. `openssl passwd -6` makes a"
    " hash; in an ENV file it stands in single quotes.")  # fmt: skip
RATE_LIMIT = Setting(name="NGINX_RATE_LIMIT", default="", check=nginx_checks.rate,
    doc="Requests that one client may make: 10/s or 300/m, with burst=50 for how many may come at once;"
    " more are answered with 429.")  # fmt: skip
MAX_BODY_SIZE = Setting(name="NGINX_MAX_BODY_SIZE", default="64m", check=nginx_checks.size,
    doc="The largest request body, such as an upload: bytes, or with k, m or g; 0 for no limit.")  # fmt: skip
PROXY_TIMEOUT = Setting(name="NGINX_PROXY_TIMEOUT", default="60", check=checks.whole(1, 86400),
    doc="Seconds for which nginx waits for the app to say something before it answers 504.")  # fmt: skip
ERROR_PAGES = Setting(name="NGINX_ERROR_PAGES", default="", check=nginx_checks.error_pages,
    doc="Pages of the app's folder for errors that nginx answers: 404:path,50x:path. One for 503 is also"
    " the page of `piku maintenance:on`.")  # fmt: skip
ALLOW_GIT = Setting(name="NGINX_ALLOW_GIT_FOLDERS", default="false", check=checks.boolean,
    doc="true or false: let clients fetch paths that begin with .git.")  # fmt: skip
INCLUDE_FILE = Setting(name="NGINX_INCLUDE_FILE", default="", check=checks.inner_path,
    doc="A file of the repository with nginx directives, included in the app's server block.")  # fmt: skip
ACME_ROOT = Setting(name="ACME_ROOT", default="", check=checks.absolute_path,
    doc="The folder of acme.sh; by default .acme.sh in the home folder of piku.")  # fmt: skip
ACME_ROOT_CA = Setting(name="ACME_ROOT_CA", default="letsencrypt.org", check=checks.authority,
    doc="The authority that certificates come from: a name that acme.sh knows, or its directory's https"
    " address.")  # fmt: skip
ACME_EMAIL = Setting(name="ACME_EMAIL", default="", check=checks.email,
    doc="The address that the authority may write to.")  # fmt: skip
ACME_DNS = Setting(name="ACME_DNS", default="", check=checks.program_name,
    doc="Prove names by DNS, as a wildcard needs: the name of acme.sh's hook (dns_cf) or of lego's"
    " provider (cloudflare). Its credentials are settings as well.")  # fmt: skip
ACME_OPTIONS = Setting(name="ACME_OPTIONS", default="", check=checks.words,
    doc="More options for the program that gets certificates, quoted as in a shell.")  # fmt: skip
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
    doc="Requests after which a uWSGI worker process is replaced by a fresh one, when it is ten seconds old. With"
    " one process, new requests wait up to a second then.")  # fmt: skip
IDLE = Setting(name="UWSGI_IDLE", default="0", check=checks.whole(0, 10**7),
    doc="Seconds without a request after which the app sleeps: it costs no process until the next"
    " request wakes it; its log tells how long that took. 0 for never.")  # fmt: skip
GEVENT = Setting(name="UWSGI_GEVENT", default="0", check=checks.whole(0, 100000),
    doc="Requests that one process of a wsgi app answers at a time with gevent, which it needs.")  # fmt: skip
ASYNCIO = Setting(name="UWSGI_ASYNCIO", default="0", check=checks.whole(0, 100000),
    doc="asyncio tasks of one process of a wsgi app; the app needs greenlet.")  # fmt: skip
ENABLE_THREADS = Setting(name="UWSGI_ENABLE_THREADS", default="true", check=checks.boolean,
    doc="true or false: let a wsgi app start threads of its own. With more than one of UWSGI_THREADS it always"
    " may.")  # fmt: skip
LOG_X_FORWARDED_FOR = Setting(name="UWSGI_LOG_X_FORWARDED_FOR", default="false", check=checks.boolean,
    doc="true or false: log the client that X-Forwarded-For names in place of the one connected.")  # fmt: skip
LOG_MAXSIZE = Setting(name="UWSGI_LOG_MAXSIZE", default="1048576", check=checks.whole(1024, 2**40),
    doc="Size in bytes at which a process's log is renamed to .old.")  # fmt: skip
LOG_DRAIN = Setting(name="PIKU_LOG_DRAIN", default="", check=setting_module.receivers, secret=True,
    doc="Where the app's log is sent as well: syslog://HOST:PORT, syslog+tcp://, syslog+tls://, http(s):// as"
    " Heroku does it, or http(s)+json://; several separated by commas.")  # fmt: skip
LOG_DRAIN_CA = Setting(name="PIKU_LOG_DRAIN_CA", default="", check=nginx_checks.file_path,
    doc="A file of certificates (PEM), in the repository or by an absolute path, that receivers of the log may"
    " be certified by beside the authorities that the server trusts.")  # fmt: skip
TIME_ZONE = Setting(name="TZ", default="", check=schedule.check_zone,
    doc="Time zone of the app and its scheduled jobs, such as Europe/Lisbon; by default the server's.")  # fmt: skip
UWSGI_INCLUDE = Setting(name="UWSGI_INCLUDE_FILE", default="", check=checks.inner_path,
    doc="A file of the repository with options of uWSGI (ini), for the app's uWSGI processes.")  # fmt: skip
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
MEMORY_LIMIT = Setting(name="PIKU_MEMORY_LIMIT", default="", check=checks_module.memory,
    doc="Memory that all processes of the app may take together, such as 256M or 1.5G; what takes more is"
    " killed and started again. Where piku has no cgroup of its own, it is for each process by itself.")  # fmt: skip
CPU_LIMIT = Setting(name="PIKU_CPU_LIMIT", default="", check=checks_module.processor,
    doc="Processors that all processes of the app may keep busy together: 0.5 or 50% of one, 2 or 200%."
    " Piku needs a cgroup of its own for it.")  # fmt: skip
NPROC_LIMIT = Setting(name="PIKU_NPROC_LIMIT", default="", check=checks_module.tasks,
    doc="Processes and threads that the app may have, those of uWSGI around it counted as well. Piku needs"
    " a cgroup of its own for it.")  # fmt: skip
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
        elif name.startswith(_OURS) and name not in GIVEN:
            close = get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {close[0]}?" if close else "see docs/settings.md for those there are"
            )
            raise PikuError(f"{name} is not a setting of this version of piku", hint=hint)


def refuse_unrepeatable(values: Mapping[str, str]) -> None:
    """Refuse settings in a repository's ENV that are read before any commit is."""
    for setting in ALL:
        if not setting.repository and setting.name in values:
            raise PikuError(
                f"ENV: {setting.name} cannot be set in the repository",
                hint="set it with `piku config:set`",
            )
