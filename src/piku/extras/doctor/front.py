"""Another web server on this host, which has the visitors' ports and passes their requests on to piku."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPException
from urllib.parse import urljoin, urlsplit

from piku.extras.doctor import asking
from piku.extras.doctor.asking import Url
from piku.extras.doctor.findings import Finding, problem
from piku.extras.doctor.scene import Scene
from piku.nginx.site import Platform, Site

_HTTP, _HTTPS = 80, 443


def address(scene: Scene) -> str:
    """Where another web server takes https from visitors; empty where none does."""
    if scene.platform.https_port == _HTTPS:
        return ""
    there = [one for one in scene.listeners if one.port == _HTTPS]
    if not there:
        return ""
    # What listens on every address of IPv6 may not do so on those of IPv4.
    first = min(there, key=lambda one: ":" in one.address)
    everywhere = "::1" if ":" in first.address else "127.0.0.1"
    return everywhere if first.everywhere else first.address


def by_http(scene: Scene, app: str, site: Site, url: Url) -> Iterator[Finding]:
    """Whether it passes https on as http, which piku or the app sends to https: for ever, or to piku's own port.
    What it tells of the protocol in a header does not help: piku's nginx says by which it was asked itself."""
    standard = replace(scene.platform, http_port=_HTTP, https_port=_HTTPS, host=address(scene))
    asked = replace(url, secure=True)
    try:
        status, location, _ = asking.request(standard, replace(site, ipv4=""), asked)
    except (OSError, HTTPException):
        return
    shown = asked.shown(standard)
    if not 300 <= status < 400 or not _is_same(urljoin(shown, location), shown, scene.platform):
        return
    who = "NGINX_HTTPS_ONLY sends" if site.https_only else "the app sends"
    # Without the name in it, this is told once of all names.
    yield problem(
        f"the web server before piku passes https on as http, and {who} http to https",
        f"have it pass https on as https: {passing_on(scene.platform, site)}",
        app=app,
        detail=(f"{shown} is sent to {location}",),
    )


def _is_same(location: str, shown: str, platform: Platform) -> bool:
    """Whether a redirect leads to where it came from, or to the port of piku's own behind it."""
    try:
        to, of = urlsplit(location), urlsplit(shown)
        ours = to.port in (None, _HTTPS, platform.https_port)
    except ValueError:
        return False
    return ours and (to.scheme, to.hostname, to.path) == ("https", of.hostname, of.path)


def passing_on(platform: Platform, site: Site) -> str:
    """How an nginx in front does it right. Without the name, piku's refuses the connection."""
    host = site.ipv4 or platform.host or "127.0.0.1"
    return (
        f"proxy_pass https://{host}:{platform.https_port}; proxy_ssl_server_name on; proxy_ssl_name $host;"
        " proxy_set_header Host $host;"
    )
