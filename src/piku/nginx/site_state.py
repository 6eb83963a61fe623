"""What a site's configuration depends on besides its release: looked up at every change."""

from __future__ import annotations

from collections.abc import Mapping

from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import cloudflare
from piku.nginx.site import Site, SiteState
from piku.paths import AppName, Paths
from piku.tls import certificate


def all_of(
    paths: Paths, sites: Mapping[AppName, Site]
) -> tuple[dict[AppName, tuple[Site, SiteState]], list[AppName]]:
    """Each site with its state, and the apps whose state cannot be read."""
    found: dict[AppName, tuple[Site, SiteState]] = {}
    unclear: list[AppName] = []
    for name, site in sites.items():
        try:
            found[name] = (site, of(paths, name, site))
        except (PikuError, OSError):
            unclear.append(name)  # one app's damaged file must not stop the others
    return found, unclear


def of(paths: Paths, name: AppName, site: Site) -> SiteState:
    """The state of one app's site now; raises PikuError when a file of the app is damaged."""
    app = paths.app(name)
    found = certificate.certificate(app, site.certified)
    additions = [hook(paths, app, site) for hook in hooks("nginx")]
    return SiteState(
        certificate=found.path,
        trusted=found.trusted,
        cloudflare=cloudflare.networks(paths) if site.cloudflare else (),
        additions=tuple(each for each in additions if each is not None),
    )
