"""Whether the names of apps lead to this host, and have certificates that browsers accept."""

import time
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network

from piku import subprocesses
from piku.errors import PikuError
from piku.extras.doctor.context import Context, Finding, ok, problem, warning
from piku.nginx.main_config import cloudflare_networks
from piku.paths import AppPaths
from piku.tls import certificate as tls_certificate
from piku.tls.certificate import OWN, SELF_SIGNED, Certificate

_PATIENCE = 3.0  # seconds


def names(context: Context, app: AppPaths) -> Iterator[Finding]:
    """Compare the addresses of each public name with those of this host."""
    site = context.site(app)
    own = subprocesses.run(["hostname", "-I"], check=False).split()
    for name in filter(tls_certificate.is_public, site.all_names if site else ()):
        ask = ["getent", "ahosts", name.replace("*", "piku-doctor", 1)]
        try:
            answer = subprocesses.run(ask, check=False, timeout=_PATIENCE)
        except PikuError:
            yield warning("the name servers do not answer", f"see: getent ahosts {name}")
            return
        found = dict.fromkeys(line.split()[0] for line in answer.splitlines())
        yield judge_name(name, list(found), own, cloudflare_networks(context.paths))


def judge_name(
    name: str, found: Sequence[str], own: Sequence[str], proxies: Iterable[str]
) -> Finding:
    """Judge the addresses of a name, given this host's and the networks of a proxy in front of it.

    A host without a public address is behind a router or NAT, whose address the name may have.
    """
    public = [one for one in own if ip_address(one).is_global]
    here = " or ".join(public) or "the public address of this server"
    if not found:
        return problem(f"{name} has no address in the DNS", f"add a DNS record with {here}")
    networks = [ip_network(one) for one in proxies]
    versions = {ip_address(one).version for one in public}
    others = [
        str(one)
        for one in map(ip_address, found)
        if not (str(one) in own or one.is_loopback or any(one in network for network in networks))
        and not (one.is_global and one.version not in versions)
    ]
    if not others:
        return ok(f"{name} leads to {', '.join(found)}")
    what = f"{name} leads to {', '.join(others)}, which is not this host"
    if len(others) < len(found):
        return warning(what, f"remove {', '.join(others)} from its DNS records")
    return warning(what, f"set the DNS record of {name} to {here}")


def certificate(context: Context, app: AppPaths) -> Iterator[Finding]:
    """Whether browsers accept the certificate of an app."""
    if site := context.site(app):
        serving = tls_certificate.certificate(app, site.all_names)
        yield judge_certificate(app.name, site.all_names, serving, time.time())


def judge_certificate(app: str, names: Sequence[str], serving: Certificate, now: float) -> Finding:
    """Judge the certificate that these names are served with."""
    own = f"piku certs:add {app} FILE"
    renew = own if serving.source == OWN else f"piku certs:renew {app}"
    if serving.source == SELF_SIGNED and any(map(tls_certificate.is_public, names)):
        return warning("its certificate is self-signed: browsers warn about it", renew)
    if serving.ends_soon(now):
        severity = problem if serving.not_after <= now else warning
        return severity(f"its certificate is only valid until {serving.last_day}", renew)
    if missing := serving.missing(names):
        return warning(f"its certificate is not valid for {', '.join(missing)}", renew)
    return ok(f"its certificate is valid until {serving.last_day}")
