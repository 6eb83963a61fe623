"""Finds the links that nginx may follow, and tells it which they are."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku.app import checks, settings
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.nginx import vhost
from piku.nginx.directives import Directive, Raw, block, d, location, quote
from piku.nginx.site import Additions, Site, Static
from piku.nginx.site_config import located
from piku.paths import AppPaths, Paths


def followed(
    app: AppPaths, checkout: Path, values: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """The links in a folder to what may be served itself, but not to a folder around it."""
    for parent, folders, names in os.walk(folder):
        paths = (Path(parent, name) for name in sorted((*folders, *names)))
        for link in filter(Path.is_symlink, paths):
            with contextlib.suppress(PikuError, ValueError):
                address = checks.inner_path(str(link.relative_to(folder)))
                target, _ = located(app, checkout, str(link), values, "link")
                if not folder.is_relative_to(target):
                    yield address


def additions(_paths: Paths, _app: AppPaths, site: Site) -> Additions | None:
    """A map from addresses down to where links are followed: to what is linked, or what is served.

    The path in it has to be the beginning of the file's, with no slash at the end (nginx:
    "disable_symlinks").
    """
    lines = []
    # The longest of two addresses comes first, of which one is the beginning of the other.
    for static in sorted(site.static, key=lambda one: one.prefix, reverse=True):
        for link in sorted((*static.links, ""), reverse=True) if static.links else ():
            # The file of /about may be about.html.
            address = re.sub(r"\\\.html\Z", r"(\.html)?", re.escape(_address(static, link)))
            place = f"{static.path}/{link}".rstrip("/")
            lines.append(d(quote(rf"~^{address}(/|\z)"), place))
    if not lines:
        return None
    # An internal redirect changes the address.
    asked = (Raw("$uri"), Raw(vhost.base_variable(site)))
    bases = block("map", asked, [d("volatile"), *lines])
    return Additions(http=(bases,), server=tuple(_pages(site)))


def _address(static: Static, link: str) -> str:
    return f"{static.prefix.rstrip('/')}/{link}".rstrip("/")


def _pages(site: Site) -> Iterator[Directive]:
    """Folders whose index.html is a link, which the map knows only by its whole address."""
    for link in (_address(static, link) for static in site.static for link in static.links):
        if link.endswith("/index.html"):
            to = d("rewrite", "^", link, "last")
            yield location(link.removesuffix("index.html"), [to], modifier="=")


def refuse_secrets(deployment: Deployment) -> None:
    """Refuse links of a php app to git's files and the like.

    uWSGI judges what a link leads to by the end of its name, and only the address by the pattern.
    """
    revision, checkout = deployment.revision, deployment.checkout.resolve()
    never = settings.never_served(deployment.values)
    for link in (path for path, mode in revision.tree.modes.items() if mode == "120000"):
        target = f"/{os.path.relpath(os.path.realpath(checkout / link), checkout)}"
        served = "php" in revision.procfile and not re.search(never, f"/{link}")
        if served and not target.startswith("/..") and re.search(never, target):
            raise PikuError(f"php: the link {link} leads to {target[1:]}, which is never served")
