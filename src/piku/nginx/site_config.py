"""From an app's settings to its site, with the paths in them looked up and checked."""

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from piku import files
from piku.app import checks, settings
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx.main_config import cloudflare_networks
from piku.nginx.site import Additions, Site, SiteState, Static
from piku.paths import SEPARATOR, AppName, AppPaths, Paths
from piku.tls import certificate

_SETTINGS = ("NGINX_", "UWSGI_", "PIKU_", "DISABLE_IPV6")  # how the names of those for a site begin


def of(
    app: AppPaths, checkout: Path, values: Mapping[str, str], *, folder: str = "",
    serving: str = "", upstreams: tuple[str, ...] = (), before: Site | None = None,
    files_only: bool = False,
) -> Site | None:  # fmt: skip
    """The site of an app with a host name; raises PikuError for a setting that is wrong.

    `folder` is what the Procfile's static line names, `serving` the process type that answers
    requests, `upstreams` where its processes listen, as nginx writes it, `before` the site that is
    live, and `files_only` whether no program of the app's runs that could write to its files.
    """
    names, others = settings.SERVER_NAME.read(values), settings.REDIRECT_FROM.read(values)
    if others and (not names or names[0].startswith("*")):
        raise PikuError(
            "NGINX_REDIRECT_FROM needs a host name to redirect to",
            hint="give one without '*' as the first of NGINX_SERVER_NAME",
        )
    if not names:
        return None
    app.access_log.parent.mkdir(parents=True, exist_ok=True)
    app.access_log.touch(mode=0o640)  # nginx would let everybody read it
    return Site(
        app=app.name,
        names=names,
        redirect_from=tuple(name for name in others if name not in names),
        values={key: text for key, text in values.items() if key.startswith(_SETTINGS)},
        serving=serving,
        upstreams=upstreams,
        static=tuple(_static(app, checkout, values, folder, files_only)),
        clients=_clients(before) if settings.CLOUDFLARE_ACL.read(values) else (),
        include=_include(app, checkout, values),
        access_log=str(app.access_log),
    )


def _clients(before: Site | None) -> tuple[str, ...]:
    """The address that deploys (specification, "CloudFlare Integration"); here, the last."""
    text = os.environ.get("SSH_CLIENT", "").split(" ")[0].partition("%")[0]
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        return before.clients if before else ()


def _include(app: AppPaths, checkout: Path, values: Mapping[str, str]) -> str:
    """A copy of the app's include file, named by its content: later edits cannot break nginx."""
    wanted = settings.INCLUDE_FILE.read(values)
    if not wanted:
        return ""
    file = files.inside(checkout, wanted)
    if file is None or not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    text = files.read(file)
    for hook in hooks("include"):
        text = hook(app, checkout, file, text)
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = app.releases / f"include{SEPARATOR}{digest}{SEPARATOR}{file.name}"
    if files.peek(kept) != text:  # a power cut may have left a part of it
        files.write(kept, text, mode=0o600)
    return str(kept)


# --- static files --------------------------------------------------------------------------------


def _static(
    app: AppPaths, checkout: Path, values: Mapping[str, str], folder: str, files_only: bool
) -> Iterator[Static]:
    """What the Procfile's static line names, and what NGINX_STATIC_PATHS adds or replaces."""
    line = checks.static_paths(folder if ":" in folder else f"/:{folder}") if folder else ()
    wanted = {prefix: (path, "static") for prefix, path in line}
    for prefix, path in settings.STATIC_PATHS.read(values):
        wanted[prefix] = (path, "NGINX_STATIC_PATHS")
    for prefix, (path, setting) in wanted.items():
        if Path(path).is_relative_to(app.live_link):
            # The app's own folder means the commit that is being deployed, not the live one.
            path = str(Path(path).relative_to(app.live_link))
        found, base = located(app, checkout, path, values, setting)
        file = found.is_file()
        if file and prefix == "/":
            raise PikuError(f"{setting}: {path} is a file, and '/' needs a folder")
        if base != app.code(str(checkout.relative_to(app.releases))):
            yield Static(prefix=prefix, path=str(found), file=file, base=str(base), links=())
            continue
        inner = os.path.relpath(found, checkout)
        yield Static(
            prefix=prefix,
            path=str(app.live_link / inner),
            before="" if file else str(app.previous_link / inner),
            file=file,
            base=str(app.live_link),
            links=tuple(chain(*(each(app, checkout, values, found) for each in hooks("links")))),
            plain=files_only and not file and not any(map(Path.is_symlink, found.rglob("*"))),
        )


def located(
    app: AppPaths, checkout: Path, path: str, values: Mapping[str, str], setting: str
) -> tuple[Path, Path]:
    """The file or folder at a path, without links, and which of the app's folders it is in; raises
    PikuError unless everybody may see it."""
    own = (app.code(str(checkout.relative_to(app.releases))), app.data, app.cache)
    found = Path(os.path.realpath(checkout / path))
    inside = next((each for each in own if found.is_relative_to(each.resolve())), None)
    if inside is None:
        raise PikuError(
            f"{setting}: {path} leads outside the app's folder",
            hint=f"an app shows its own files, and those in {app.data}",
        )
    inner = found.relative_to(inside.resolve())
    if re.search(f"{settings.never_served(values)}|{settings.OWN_FILES}", f"/{inner}"):
        raise PikuError(f"{setting}: {path} is never served, as it may hold secrets")
    # The app may make a folder for its own data later.
    if not os.path.exists(found) and inside != app.data:
        raise PikuError(
            f"{setting}: there is no file or folder {path!r}",
            hint="commit it, or have the Procfile make it, such as 'release: npm run build'",
        )
    return inside / inner, inside


# --- what changes without a deploy ---------------------------------------------------------------


def state(paths: Paths, name: AppName, site: Site, shared: Iterable[Additions] = ()) -> SiteState:
    """The state of one app's site now, with what it has by the sites beside it; raises PikuError
    when a file of the app is damaged."""
    app = paths.app(name)
    additions = [*shared, *(hook(paths, app, site) for hook in hooks("nginx"))]
    restricted = settings.CLOUDFLARE_ACL.read(site.values)
    return SiteState(
        certificate=certificate.certificate(app, site.all_names).path,
        cloudflare=cloudflare_networks(paths) if restricted else (),
        additions=tuple(each for each in additions if each is not None),
    )
