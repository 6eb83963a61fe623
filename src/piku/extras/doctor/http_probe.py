"""Requests to an app through nginx, as its visitors make them, with what nginx logged of each."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from piku import subprocesses
from piku.extras.doctor.context import Context
from piku.nginx import service
from piku.nginx.site import Site

PATIENCE = 10  # seconds for an answer
REFUSED, LATE = 7, 28  # exit codes of curl
_CURL = (
    "curl", "-q", "--silent", "--insecure", "--noproxy", "*", "--max-time", str(PATIENCE),
    "--output", "/dev/null", "--write-out", "%{http_code} %{exitcode} %{redirect_url}",
)  # fmt: skip
_MOST = 10  # redirects


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status, or curl's exit code; `location` is where it redirects to, `log` what nginx wrote to
    its log of errors meanwhile."""

    url: str
    status: int
    error: int
    location: str
    log: tuple[str, ...]


def hosts(site: Site) -> list[str]:
    """The names of a site, with a host for each wildcard."""
    return [name.replace("*", "piku-doctor", 1) for name in site.all_names]


def follow(context: Context, site: Site, url: str) -> list[Answer]:
    """Request it and what it redirects to on this server, until that repeats."""
    trail: list[Answer] = []
    while url and not is_loop(trail):
        trail.append(_ask(context, site, url))
        url = trail[-1].location if urlsplit(trail[-1].location).hostname in hosts(site) else ""
    return trail


def is_loop(trail: list[Answer]) -> bool:
    return len(trail) >= _MOST or len({answer.url for answer in trail}) < len(trail)


def _ask(context: Context, site: Site, url: str) -> Answer:
    log = context.paths.nginx_errors
    size = log.stat().st_size if log.exists() else 0
    address = service.platform(context.paths).listens(site, 0)[0].removesuffix(":0")
    said = subprocesses.run([*_CURL, "--connect-to", f"::{address}:", url], check=False)
    status, error, location = said.split(" ", 2)
    news = log.read_bytes()[size:].decode(errors="replace") if log.exists() else ""
    lines = tuple(line for line in news.splitlines() if f'host: "{urlsplit(url).hostname}' in line)
    return Answer(url=url, status=int(status), error=int(error), location=location, log=lines)
