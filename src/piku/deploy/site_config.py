"""What nginx is to know of an activation: the settings for it."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence

from piku import files
from piku.app import settings
from piku.deploy import releases, static_files
from piku.deploy.deployment import Job
from piku.deploy.releases import Process
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import SEPARATOR
from piku.uwsgi import ini


def of(job: Job, served: Sequence[Process]) -> Site | None:
    """The site of an app with a host name; raises PikuError for a setting that cannot be followed."""
    values = job.values
    names = settings.SERVER_NAME.read(values)
    redirected = _redirected(names, settings.REDIRECT_FROM.read(values))
    if not names:
        return None
    backend = "" if not served else "uwsgi" if job.plan.port == "socket" else "http"
    rate, burst = settings.RATE_LIMIT.read(values) or ("", 0)
    static = tuple(static_files.static(job))
    cloudflare = settings.CLOUDFLARE_ACL.read(values)
    return Site(
        app=job.app.name,
        names=names,
        redirect_from=redirected,
        backend=backend,
        stopped=bool(job.plan.serving) and not served,
        modifier=ini.MODIFIERS.get(job.plan.serving, 0),
        upstreams=tuple(_upstream(job, process) for process in served),
        spares=tuple(
            f"{process.address.rpartition(':')[0]}:{process.spare}"
            for process in served
            if process.spare
        ),
        static=static,
        catch_all=settings.CATCH_ALL.read(values),
        hidden=tuple(static_files.hidden(job, static)),
        cache=static_files.cache(job, static),
        https_only=settings.HTTPS_ONLY.read(values),
        hsts=settings.HSTS.read(values),
        ipv4=settings.IPV4_ADDRESS.read(values),
        ipv6=settings.IPV6_ADDRESS.read(values),
        no_ipv6=settings.DISABLE_IPV6.read(values),
        allow_git=settings.ALLOW_GIT.read(values),
        cloudflare=cloudflare,
        clients=_clients(job) if cloudflare else (),
        passwords=_passwords(job),
        rate=rate,
        burst=burst,
        max_body=settings.MAX_BODY_SIZE.read(values)
        if values.get(settings.MAX_BODY_SIZE.name)
        else "",
        timeout=settings.PROXY_TIMEOUT.read(values),
        error_pages=tuple(static_files.error_pages(job)),
        include=_include(job),
        access_log=_access_log(job) if backend != "uwsgi" else "",
        forwarded=settings.LOG_X_FORWARDED_FOR.read(values),
        idle=settings.IDLE.read(values) if backend == "http" and job.plan.serving == "web" else 0,
        naps=backend == "uwsgi" and settings.IDLE.read(values) > 0,
    )


def _redirected(names: Sequence[str], redirected: tuple[str, ...]) -> tuple[str, ...]:
    if not redirected:
        return ()
    if not names or names[0].startswith("*"):
        raise PikuError(
            "NGINX_REDIRECT_FROM needs a host name to redirect to",
            hint="give one without '*' as the first of NGINX_SERVER_NAME",
        )
    if both := sorted(set(names) & set(redirected)):
        raise PikuError(
            f"{both[0]} is in NGINX_SERVER_NAME and in NGINX_REDIRECT_FROM", hint="choose one"
        )
    return redirected


def _upstream(job: Job, process: Process) -> str:
    # A wsgi app is switched by replacing the link that nginx connects to, without a reload.
    return (
        f"unix:{job.app.socket(process.instance)}" if job.plan.port == "socket" else process.address
    )


def _access_log(job: Job) -> str:
    log = job.app.access_log
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o640)  # nginx would let everybody read it
    return str(log)


# --- who is let in -------------------------------------------------------------------------------


def _clients(job: Job) -> tuple[str, ...]:
    """The address that deploys (specification, "CloudFlare Integration"); on the server itself, the last."""
    text = os.environ.get("SSH_CLIENT", "").split(" ")[0].partition("%")[0]
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        live = releases.live(job.app)
        return live.site.clients if live and live.site else ()


def _passwords(job: Job) -> str:
    users = settings.BASIC_AUTH.read(job.values)
    if not users:
        return ""
    return _kept(job, "passwords", "".join(f"{user}:{password}\n" for user, password in users))


# --- the app's own directives --------------------------------------------------------------------


def _include(job: Job) -> str:
    """A copy of the app's include file, named by its content: later edits cannot break nginx."""
    wanted = settings.INCLUDE_FILE.read(job.values)
    if not wanted:
        return ""
    checkout = job.checkout.resolve()
    file = static_files.real(checkout / wanted, "NGINX_INCLUDE_FILE", wanted)
    if not file.is_relative_to(checkout):
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted} leads outside the app's folder")
    if not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    return _kept(job, f"include{SEPARATOR}{file.name}", files.read(file))


def _kept(job: Job, name: str, text: str) -> str:
    """The path of a file that holds this text for good: nginx may read it again at any time."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = job.app.releases / f"kept{SEPARATOR}{digest}{SEPARATOR}{name}"
    if files.read(kept) != text:  # a power cut may have left a part of it
        files.write(kept, text, mode=0o600)
    return str(kept)
