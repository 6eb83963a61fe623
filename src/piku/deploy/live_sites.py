"""What nginx serves: the sites of all live records; a bad one is set aside alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from piku import files, locks
from piku.deploy import certificates, releases
from piku.errors import PikuError
from piku.nginx import service, site_config, vhost
from piku.nginx.site import Site
from piku.paths import AppName, Paths
from piku.uwsgi import housekeeping

Say = Callable[[str], None]


def load(paths: Paths) -> tuple[dict[AppName, Site], list[AppName]]:
    """The sites to serve, and the apps whose records are damaged: their files stay."""
    found: dict[AppName, Site] = {}
    unknown: list[AppName] = []
    for name in paths.app_names():
        if paths.app(name).refused.exists():
            continue
        try:
            record = releases.live(paths.app(name))
        except PikuError:
            unknown.append(name)
            continue
        if record is not None and record.site is not None:
            found[name] = record.site
    return found, unknown


def refuse_taken_names(paths: Paths, app: AppName, site: Site) -> None:
    """Raise PikuError when another app has one of these host names."""
    for other, theirs in load(paths)[0].items():
        shared = sorted(set(site.certified) & set(theirs.certified))
        if other != app and shared:
            raise PikuError(
                f"{shared[0]} belongs to the app {other!r}",
                hint="give that app another name first:"
                f" piku config:set {other} NGINX_SERVER_NAME=another.name",
            )


def update(paths: Paths) -> None:
    """Install what every live record asks for, and have nginx use it if anything changed."""
    with locks.lock(paths.uwsgi / "nginx.lock", "updating nginx"):
        sites, unknown = load(paths)
        complete, unclear = site_config.states(paths, sites)
        keep = [*unknown, *unclear]
        if service.install(paths, complete, keep=keep):
            try:
                service.reload(paths)
            except PikuError:
                # What one app includes may have become wrong since it was deployed.
                refused = set_aside(paths, complete, lambda _text: None)
                if not refused:
                    raise
                rest = {name: pair for name, pair in complete.items() if name not in refused}
                service.install(paths, rest, keep=keep)
                service.reload(paths)
        follow(paths, sites)


def set_aside(paths: Paths, sites: service.Sites, warn: Say) -> set[AppName]:
    """Set aside the sites that nginx refuses even alone, so that the others are served."""
    refused = set()
    for name, (site, known) in sites.items():
        try:
            service.check_addresses(paths, site)
            service.check(paths, {name: (site, known)})
        except PikuError as error:
            refused.add(name)
            warn(f"{name} is NOT served: {error.message}")
            warn(f"fix it and deploy it again; its file is kept as {name}.conf.refused")
            text = vhost.app_config(site, service.platform(paths), known)
            files.write(paths.app(name).refused, text)
    return refused


def install_all(paths: Paths, warn: Say) -> None:
    """Install every app's file before nginx starts. One that nginx refuses is set aside, so that
    the rest is served; so is a file that somebody else put there."""
    with locks.lock(paths.uwsgi / "nginx.lock", "starting nginx"):
        for name in paths.app_names():
            files.remove(paths.app(name).refused)
        sites, unknown = load(paths)
        complete, unclear = site_config.states(paths, sites)
        for name in unclear:
            warn(f"{name} keeps its file for nginx: its certificate or another file is unreadable")
        refused = set_aside(paths, complete, warn)
        accepted = {name: pair for name, pair in complete.items() if name not in refused}
        service.install(paths, accepted, keep=[*unknown, *unclear])
        while foreign := service.foreign(paths):
            try:
                service.check_installed(paths)
                break
            except PikuError as error:
                culprit = next((file for file in foreign if str(file) in error.message), None)
                if culprit is None:
                    raise
                warn(f"{culprit.name} is NOT used: {error.message}")
                warn(f"piku did not write it; it is kept as {culprit.name}.refused")
                culprit.rename(f"{culprit}.refused")
        follow(paths, load(paths)[0])


def follow(paths: Paths, sites: Mapping[AppName, Site]) -> None:
    """Do what these sites need from time to time; the caller holds nginx's lock."""
    service.rotate_logs(paths, ())
    housekeeping.follow(paths, sites.values())
    if certificates.due(paths, sites):
        housekeeping.ask(paths)
