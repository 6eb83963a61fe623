"""Why an app answers as it does: which layer spoke, what kept the next one from it, and what mends it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from piku import files
from piku.deploy.releases import Process
from piku.extras.doctor import apps, asking, loops, services
from piku.extras.doctor.asking import Answer
from piku.extras.doctor.facts import Facts, Why
from piku.extras.doctor.findings import OK, PROBLEM, WARNING
from piku.nginx.site import Site, Static


def explain(trail: tuple[Answer, ...], facts: Facts) -> Why:
    """What became of a request, and of the redirects after it."""
    last = trail[-1]
    if asking.is_loop(trail):
        return loops.loop(trail, facts)
    for line in last.log:
        for pattern, reason in _NOTED:
            # What nginx overcame, as when it had a sleeping app woken, is no fault.
            if pattern in line and (last.error or last.status >= 400 or reason is _no_http):
                return reason(line, facts)
    if last.error:
        return _ERRORS[last.error](last, facts)
    if last.status < 400:
        to = f", which redirects to {last.location}" if last.location else ""
        return Why(severity=OK, text=f"answers {last.status}{to}")
    return _by_status(last, facts)


def is_of_all(trail: tuple[Answer, ...]) -> bool:
    """Whether the same would come of every name: what nginx asks is the same app."""
    last = trail[-1]
    return last.error == asking.LATE or (last.status in (502, 504) and bool(last.log))


# --- nothing came back ---------------------------------------------------------------------------


def _refused(answer: Answer, facts: Facts) -> Why:
    port = facts.scene.platform.https_port if answer.url.secure else facts.scene.platform.http_port
    text = f"nobody listens on port {port}: nginx does not run, or not with this port"
    return Why(severity=PROBLEM, text=text, fix=services.starting(facts.scene, "piku-nginx"))


def _unknown(answer: Answer, facts: Facts) -> Why:
    """nginx's answer to a host that it does not know is none."""
    name, host = facts.app.name, answer.url.host
    if host not in _asked_names(facts.site):
        names = ",".join((*facts.site.names, host))
        return Why(
            severity=PROBLEM,
            text=f"the request reached nginx's default server, for no app has the name {host}",
            fix=f"piku config:set {name} NGINX_SERVER_NAME={names}",
        )
    if facts.app.nginx.exists():
        text = "nginx does not know this name yet, or closed the connection by a directive of the app's include file"
    else:
        text = f"the request reached nginx's default server, for {facts.app.nginx} is missing"
    return Why(severity=PROBLEM, text=text, fix=f"piku restart {name}")


def _asked_names(site: Site) -> list[str]:
    return [name.replace("*", "piku-doctor", 1) for name in site.certified]


def _late(_answer: Answer, facts: Facts) -> Why:
    text = f"no answer came within {asking.PATIENCE:.0f} s: the app accepted the request, and is still at it"
    return Why(severity=PROBLEM, text=text, fix=facts.logs, detail=facts.written())


def _garbled(_answer: Answer, facts: Facts) -> Why:
    return _no_http("", facts)


_ERRORS: dict[str, Callable[[Answer, Facts], Why]] = {
    asking.REFUSED: _refused,
    asking.CLOSED: _unknown,
    asking.HANDSHAKE: _unknown,
    asking.LATE: _late,
    asking.GARBLED: _garbled,
}


# --- what nginx noted ----------------------------------------------------------------------------


def _nobody_there(line: str, facts: Facts) -> Why:
    """nginx met nobody where the app is to listen."""
    found = re.search(r'upstream: "(?:http|uwsgi)://(?P<address>unix:[^:"]+|[0-9.]+:[0-9]+)', line)
    address = found["address"].removeprefix("unix:") if found else ""
    process = _at(facts, address)
    row = next((row for row in facts.rows() if process and row.process == process.title), None)
    restart = f"piku restart {facts.app.name}"
    if process is None or row is None or row.state == "down":
        what = process.title if process else "what is to answer it"
        return Why(
            severity=PROBLEM,
            text=f"nginx met nobody at {address}: {what} does not run",
            fix=restart,
        )
    if row.state == "crashing":
        code = "" if row.exit_code is None else f" with exit code {row.exit_code}"
        text = f"nginx met nobody at {address}: {row.process} keeps ending{code}"
        return Why(severity=PROBLEM, text=text, fix=facts.logs, detail=row.last_lines)
    if address.startswith("/"):
        how = "is missing" if not Path(address).exists() else "leads to nobody"
        return Why(severity=PROBLEM, text=f"the socket {address} {how}", fix=restart)
    text, fix = apps.deaf(facts.scene, process, row)
    return Why(severity=PROBLEM, text=text, fix=fix)


def _at(facts: Facts, address: str) -> Process | None:
    for process in facts.live.processes:
        if process.address == address or (
            process.by_socket and str(facts.app.socket(process.instance)) == address
        ):
            return process
    return None


def _broken_off(_line: str, facts: Facts) -> Why:
    how = "the app closed the connection"
    for _ in files.poll(time.monotonic() + 1):  # its end may be on record in a moment
        ended = [
            row
            for row in facts.rows()
            if row.exit_code is not None and row.uptime <= asking.PATIENCE
        ]
        if ended:
            how = f"{ended[0].process} ended with exit code {ended[0].exit_code}"
            break
    text = f"{how} while it was at this request, without an answer"
    return Why(severity=PROBLEM, text=text, fix=facts.logs, detail=facts.written())


def _timed_out(_line: str, facts: Facts) -> Why:
    text = f"the app did not answer within {facts.site.timeout} s"
    fix = f"make it faster, or let it take longer: piku config:set {facts.app.name} NGINX_PROXY_TIMEOUT=300"
    return Why(severity=PROBLEM, text=text, fix=fix)


def _busy(_line: str, facts: Facts) -> Why:
    fix = f"let it answer more at a time: piku config:set {facts.app.name} UWSGI_PROCESSES=4"
    return Why(
        severity=PROBLEM, text="the app's queue is full: it is too slow for what comes", fix=fix
    )


def _headers(_line: str, _facts: Facts) -> Why:
    fix = "have the app send fewer or smaller cookies"
    return Why(
        severity=PROBLEM, text="the headers of the app's answer are larger than 16 KB", fix=fix
    )


def _no_http(_line: str, _facts: Facts) -> Why:
    fix = "have the program speak HTTP, without TLS, on $PORT"
    return Why(severity=PROBLEM, text="what listens on the app's port does not speak HTTP", fix=fix)


def _outsider(_line: str, _facts: Facts) -> Why:
    text = "only Cloudflare, and the address that deployed last, are let in, as NGINX_CLOUDFLARE_ACL says"
    return Why(severity=OK, text=text)


def _too_many(_line: str, _facts: Facts) -> Why:
    return Why(severity=OK, text="NGINX_RATE_LIMIT lets in no more requests of this client for now")


def _unreadable(line: str, _facts: Facts) -> Why:
    found = re.search(r'"(/[^"]+)"', line)
    place = found[1] if found else "a file"
    return Why(severity=PROBLEM, text=f"nginx may not read {place}", fix=f"chmod -R u+rX {place}")


_NOTED: tuple[tuple[str, Callable[[str, Facts], Why]], ...] = (
    ("failed (11: Resource temporarily unavailable) while connecting to upstream", _busy),
    ("while connecting to upstream", _nobody_there),
    ("no live upstreams", _nobody_there),
    ("upstream prematurely closed connection", _broken_off),
    ("recv() failed (104: Connection reset by peer) while reading response header", _broken_off),
    ("upstream timed out", _timed_out),
    ("upstream sent too big header", _headers),
    ("upstream sent no valid HTTP", _no_http),
    ("upstream sent invalid header", _no_http),
    ("access forbidden by rule", _outsider),
    ("limiting requests", _too_many),
    ("(13: Permission denied)", _unreadable),
)


# --- the status alone ----------------------------------------------------------------------------


def _by_status(answer: Answer, facts: Facts) -> Why:
    site, name, status = facts.site, facts.app.name, answer.status
    if status == 503 and facts.paused is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(facts.paused.since))
        text = f"nginx answers 503, for {name} is in maintenance since {when}, by {facts.paused.by}"
        return Why(severity=WARNING, text=text, fix=f"piku maintenance:off {name}")
    if status == 503 and facts.live.stopped:
        text = f"nginx answers 503, for {name} is stopped"
        return Why(severity=PROBLEM, text=text, fix=f"piku restart {name}")
    if status == 503 and site.sleeps and b"could not be woken" in answer.body:
        text = f"{name} slept, and could not be woken"
        return Why(severity=PROBLEM, text=text, fix=facts.logs, detail=facts.written())
    if status == 401 and site.passwords:
        return Why(severity=OK, text="nginx asks for a password, as NGINX_BASIC_AUTH says")
    if status == 404 and (static := _static(answer, site)):
        return _no_file(answer, facts, static)
    if status == 404 and "/.git" in answer.url.path and not site.allow_git:
        return Why(
            severity=OK, text="nginx hides what begins with .git; NGINX_ALLOW_GIT_FOLDERS shows it"
        )
    return _own_answer(status, facts)


def _static(answer: Answer, site: Site) -> Static | None:
    """The folder or file that nginx looks in for this address, and in nothing else."""
    path = answer.url.path.partition("?")[0]
    fitting = [
        one for one in site.static if one.prefix == "/" or f"{path}/".startswith(f"{one.prefix}/")
    ]
    found = max(fitting, key=lambda one: len(one.prefix), default=None)
    return None if found and found.prefix == "/" and site.backend else found


def _no_file(answer: Answer, facts: Facts, static: Static) -> Why:
    path = answer.url.path.partition("?")[0]
    if not Path(static.path).exists():
        text = f"nginx answers 404, for what it is to serve at {static.prefix} is not there: {static.path}"
        return Why(severity=PROBLEM, text=text, fix=f"piku deploy {facts.app.name}")
    inner = path.removeprefix(static.prefix).strip("/")
    wanted = static.path if static.file else f"{static.path}/{inner}".rstrip("/")
    if Path(wanted).is_dir():
        text = f"nginx answers 404, for the folder {wanted} has no index.html"
        return Why(severity=WARNING, text=text, fix="add that file to the repository and push")
    text = f"nginx answers 404, for there is no file {wanted}"
    if facts.site.catch_all:
        text += f", and none of NGINX_CATCH_ALL={facts.site.catch_all} either"
        return Why(
            severity=WARNING, text=text, fix="add the one that answers for all others, and push"
        )
    fix = f"add it and push; if one page is to answer for all: piku config:set {facts.app.name} NGINX_CATCH_ALL=/index.html"
    return Why(severity=WARNING, text=text, fix=fix)


def _own_answer(status: int, facts: Facts) -> Why:
    if not facts.site.backend:
        return Why(
            severity=WARNING, text=f"nginx answers {status}", fix=f"piku restart {facts.app.name}"
        )
    text = f"the app itself answers {status}: the request reached it"
    if status >= 500:
        return Why(severity=PROBLEM, text=text, fix=facts.logs, detail=facts.written())
    return Why(
        severity=WARNING,
        text=text,
        fix="nothing on this server: it is for the app to know this address",
    )
