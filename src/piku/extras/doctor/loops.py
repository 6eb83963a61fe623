"""Why redirects come to no end: which of nginx's settings and the app send each other's visitors back."""

from __future__ import annotations

from collections.abc import Sequence

from piku.extras.doctor.asking import Answer
from piku.extras.doctor.facts import Facts, Why
from piku.extras.doctor.findings import PROBLEM
from piku.nginx.site import Site


def _by_nginx(answer: Answer, site: Site) -> str:
    """The setting by which nginx redirected; empty when the app did."""
    if answer.url.host in site.redirect_from:
        return "NGINX_REDIRECT_FROM"
    return "NGINX_HTTPS_ONLY" if site.https_only and not answer.url.secure else ""


def loop(trail: tuple[Answer, ...], facts: Facts) -> Why:
    """Who sends whom where, without end."""
    first = next(index for index, one in enumerate(trail) if one.url == trail[-1].url)
    circle = trail[first:-1] or trail[-1:]
    shown = " → ".join(one.url.shown(facts.scene.platform) for one in (*circle, circle[0]))
    text, fix = _why_loop(circle, facts)
    return Why(severity=PROBLEM, text=f"a redirect loop: {text}", fix=fix, detail=(shown,))


def _why_loop(circle: Sequence[Answer], facts: Facts) -> tuple[str, str]:
    name, site = facts.app.name, facts.site
    by = {_by_nginx(answer, site) for answer in circle}
    if "NGINX_HTTPS_ONLY" in by:
        return (
            "nginx sends http to https, as NGINX_HTTPS_ONLY says, and the app sends https back to http",
            f"piku config:set {name} NGINX_HTTPS_ONLY=false, or have the app keep to https",
        )
    if "NGINX_REDIRECT_FROM" in by:
        moved = next(one.url.host for one in circle if one.url.host in site.redirect_from)
        return (
            f"nginx sends {moved} to {site.names[0]}, as NGINX_REDIRECT_FROM says, and the app sends that back",
            f"piku config:set {name} NGINX_SERVER_NAME={moved} NGINX_REDIRECT_FROM={site.names[0]}",
        )
    if len(circle) == 1 and circle[0].url.secure:
        return (
            "the app sends https to https: it does not see that the request was secure",
            "have the app trust the header X-Forwarded-Proto, as its framework's settings for a proxy do",
        )
    return "the app itself sends its visitors round", "mend the redirects of the app"
