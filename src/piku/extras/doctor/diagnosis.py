"""Why an app answers as it does: which layer answered, and what stopped the next one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from piku import files
from piku.deploy import health, releases
from piku.deploy.releases import Live
from piku.extras.doctor import apps, http_probe
from piku.extras.doctor.context import OK, PROBLEM, Context, Finding, ok, problem, warning
from piku.extras.doctor.http_probe import Answer
from piku.nginx import service
from piku.nginx.site import Site
from piku.paths import AppPaths

_LOGS = "piku logs {app} --no-follow"
_CRASHED = "the app closed the connection without an answer: it may have crashed"

# What nginx writes to its log of errors, and what that means: the first that matches counts.
_UPSTREAM = "while connecting to upstream"
_NGINX_ERRORS = (
    (f"(11: Resource temporarily unavailable) {_UPSTREAM}", PROBLEM,
     "the app's queue is full: it is too slow for its traffic",
     "piku config:set {app} UWSGI_PROCESSES=4"),
    ("upstream prematurely closed connection", PROBLEM, _CRASHED, _LOGS),
    ("(104: Connection reset by peer) while reading", PROBLEM, _CRASHED, _LOGS),
    ("upstream timed out", PROBLEM, "the app did not answer within {timeout} s",
     "make it faster, or allow it more time: piku config:set {app} NGINX_PROXY_TIMEOUT=300"),
    ("upstream sent too big header", PROBLEM, "the headers of the app's answer exceed 32 KB",
     "have the app send fewer or smaller cookies"),
    ("upstream sent no valid HTTP", PROBLEM, "the program on the app's port does not speak HTTP",
     "have the program speak HTTP, without TLS, on $PORT"),
    ("access forbidden by rule", OK, "NGINX_CLOUDFLARE_ACL admits Cloudflare only", ""),
    ("limiting requests", OK, "NGINX_RATE_LIMIT admits no more requests of this client now", ""),
    ("(13: Permission denied)", PROBLEM, "nginx may not read {file}", "chmod -R u+rX {file}"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An app that is asked, and what it should be."""

    context: Context
    app: AppPaths
    live: Live
    site: Site

    def finding(self, severity: str, what: str, fix: str, *, line: str = "") -> Finding:
        """A row of the table as a finding; one that names the logs shows their end."""
        file = re.search(r'"(/[^"]+)"', line)
        timeout = self.site.values.get("NGINX_PROXY_TIMEOUT", 60)
        values = {"app": self.app.name, "timeout": timeout, "file": file and file[1]}
        logs = [p.log(self.app) for p in self.live.processes if p.address]
        detail = health.last_lines(logs[0], 5) if logs and fix == _LOGS else ()
        what, fix = what.format(**values), fix.format(**values)
        return Finding(severity=severity, what=what, fix=fix, detail=detail)


def visit(context: Context, app: AppPaths) -> Iterator[Finding]:
    """Request an app by each of its names, and explain the answers."""
    live, where = releases.live(app), service.platform(context.paths)
    if live is None or live.site is None:
        if live and any(process.address for process in live.processes):
            fix = f"piku config:set {app.name} NGINX_SERVER_NAME=HOST"
            yield warning("it has no host name, so nginx does not serve it", fix)
        return
    urls = [
        where.url(name.replace("*", "piku-doctor"), secure=secure).removesuffix("/") + context.url
        for name in (*live.site.names, *live.site.redirect_from)
        for secure in (False, True)
    ]
    # The same fault under several names is reported once.
    found: dict[str, tuple[Finding, list[str]]] = {}
    for url in urls if context.url.startswith("/") else [context.url]:
        trail = http_probe.follow(context, live.site, url)
        finding = explain(Visit(context=context, app=app, live=live, site=live.site), trail)
        found.setdefault(finding.what, (finding, []))[1].append(url)
        if trail[-1].error == http_probe.LATE or trail[-1].status in (502, 504):
            break  # every name leads to the same app
    for finding, same in found.values():
        yield replace(finding, what=f"{' and '.join(same)}: {finding.what}")


def explain(visit: Visit, trail: list[Answer]) -> Finding:
    """Explain the answer to a request, after its redirects."""
    last = trail[-1]
    if http_probe.is_loop(trail):
        fix = "have the app trust the header X-Forwarded-Proto, and redirect to one name only"
        if visit.site.https_only and any(answer.url.startswith("http:") for answer in trail):
            fix = f"piku config:set {visit.app.name} NGINX_HTTPS_ONLY=false"
        return problem("its redirects never end", fix, " → ".join(answer.url for answer in trail))
    if not last.error and last.status < 400:
        return ok(f"answers {last.status} {last.location}".rstrip())
    for line in last.log:
        for pattern, *row in _NGINX_ERRORS:
            if pattern in line:
                return visit.finding(*row, line=line)
        if _UPSTREAM in line:
            return _nobody(visit, line)
    if last.error == http_probe.LATE:
        return visit.finding(PROBLEM, f"no answer within {http_probe.PATIENCE} s", _LOGS)
    if last.error == http_probe.REFUSED:
        return problem("nginx does not listen on this port", visit.context.restart("piku-nginx"))
    return _closed(visit, last) if last.error else _by_status(visit, last)


def _closed(visit: Visit, answer: Answer) -> Finding:
    """nginx closes the connection when it does not know the host."""
    fix, host = f"piku restart {visit.app.name}", str(urlsplit(answer.url).hostname)
    if host not in http_probe.hosts(visit.site):
        names = ",".join((*visit.site.names, host))
        fix = f"piku config:set {visit.app.name} NGINX_SERVER_NAME={names}"
    return problem("nginx closed the connection: it knows no such name", fix)


def _nobody(visit: Visit, line: str) -> Finding:
    """nginx could not connect to the app: the fault of its processes is why, where one is known."""
    for finding in apps.processes(visit.context, visit.app):
        if finding.severity != OK:
            return replace(finding, what=f"nginx cannot reach the app: {finding.what}")
    address = re.search(r'upstream: "([^"]+)', line)
    what = f"nothing answers at {address[1] if address else 'the address of the app'}"
    return problem(what, f"piku restart {visit.app.name}")


def _by_status(visit: Visit, answer: Answer) -> Finding:
    name, status, site = visit.app.name, answer.status, visit.site
    if status == 503 and visit.live.stopped:
        return problem("nginx answers 503: the app is stopped", f"piku restart {name}")
    if status == 503 and "maintenance" in files.read(visit.app.nginx):
        return warning("nginx answers 503: it is in maintenance", f"piku maintenance:off {name}")
    if status == 401 and site.values.get("NGINX_BASIC_AUTH"):
        return ok("NGINX_BASIC_AUTH asks for a password")
    path = urlsplit(answer.url).path + "/"
    folders = [one.path for one in site.static if path.startswith(one.prefix.rstrip("/") + "/")]
    if status == 404 and folders and not (site.backend and site.static[0].prefix == "/"):
        what = f"nginx answers 404: there is no such file in {folders[-1]}"
        return warning(what, "add it to the repository and push")
    if status >= 500:
        what = f"the app itself returned {status}" if site.backend else f"nginx answers {status}"
        return visit.finding(PROBLEM, what, _LOGS)
    return warning(f"the app itself returned {status}", "have the app answer this address")
