"""What a site's nginx configuration depends on beside its activation: looked up at every change."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from piku.errors import PikuError
from piku.extras.maintenance import state
from piku.nginx import cloudflare
from piku.nginx.site import Around, Site
from piku.paths import AppName, Paths
from piku.tls import certificate as certificate_module


def all_of(
    paths: Paths, sites: Mapping[AppName, Site]
) -> tuple[dict[AppName, tuple[Site, Around]], list[AppName]]:
    """Each site with what is around it, and the apps of which that cannot be said."""
    found: dict[AppName, tuple[Site, Around]] = {}
    unclear: list[AppName] = []
    for name, site in sites.items():
        try:
            found[name] = (site, of(paths, name, site))
        except PikuError:
            unclear.append(name)  # one app's damaged file must not stop the others
    return found, unclear


def of(paths: Paths, name: AppName, site: Site) -> Around:
    """What is so now, for one app."""
    app = paths.app(name)
    certificate = certificate_module.certificate(app, site.certified)
    down = state.state(app)
    return Around(
        certificate=certificate.path,
        trusted=certificate.trusted,
        maintenance=str(resources.files("piku") / "templates" / "maintenance.html") if down else "",
        retry_after=down.retry_after if down else 0,
        cloudflare=cloudflare.networks(paths) if site.cloudflare else (),
        waker=str(paths.waker) if site.idle else "",
    )
