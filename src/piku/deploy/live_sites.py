"""What nginx serves: the sites of all live records; a bad one is set aside alone."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from piku import files, locks
from piku.deploy import releases
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service, site_config, vhost
from piku.nginx.directives import render
from piku.nginx.site import Site, SiteState
from piku.paths import AppName, Paths
from piku.uwsgi import housekeeping

Say = Callable[[str], None]
State = tuple[Site, SiteState]


def load(paths: Paths) -> tuple[dict[AppName, Site], dict[AppName, Exception]]:
    """The sites to serve, and the apps whose records are damaged, with why: their files stay."""
    found: dict[AppName, Site] = {}
    damaged: dict[AppName, Exception] = {}
    for name in paths.app_names():
        if paths.app(name).refused.is_file():
            continue
        try:
            record = releases.live(paths.app(name))
        except PikuError as error:
            damaged[name] = error
            continue
        if record is not None and record.site is not None:
            found[name] = record.site
    return found, damaged


def states(
    paths: Paths, own: Mapping[AppName, Site] | None = None
) -> tuple[dict[AppName, State], dict[AppName, Exception]]:
    """The same sites with their state; one whose state cannot be read keeps its file as well. `own`
    is what an app is about to have in place of its live site."""
    found: dict[AppName, State] = {}
    live, damaged = load(paths)
    sites = {**live, **(own or {})}
    together = [hook(paths, sites) for hook in hooks("together")]
    for name, site in sites.items():
        try:
            shared = [each[name] for each in together if name in each]
            found[name] = (site, site_config.state(paths, name, site, shared))
        except Exception as error:  # noqa: BLE001 (one app's damaged file must not stop the others)
            damaged[name] = error
    return found, damaged


def refuse_taken_names(paths: Paths, app: AppName, names: Iterable[str]) -> None:
    """Raise PikuError when another app has one of these names, with the same path if it has one."""
    for other, theirs in load(paths)[0].items():
        shared = sorted(set(names) & {*theirs.names, *theirs.redirect_from})
        if other != app and shared:
            hint = f"push to {other!r} if that is the app you mean, or give {app} another name"
            raise PikuError(f"{shared[0]} belongs to the app {other!r}", hint=hint)


def update(paths: Paths, warn: Say = lambda _: None) -> None:
    """Install what every live record asks for, and have nginx use it if anything changed."""
    with locks.lock(paths.uwsgi / "nginx.lock", "updating nginx"):
        sites, keep = states(paths)
        if service.install(paths, sites, keep=keep):
            try:
                service.reload(paths)
            except PikuError:
                # What one app includes may have become wrong since it was deployed.
                rest = accepted(paths, sites, warn)
                if len(rest) == len(sites):
                    raise
                service.install(paths, rest, keep=keep)
                service.reload(paths)
        housekeeping.follow(paths, load(paths)[0].values())


def accepted(paths: Paths, sites: service.Sites, warn: Say) -> service.Sites:
    """The sites that nginx accepts together; the others are set aside, so that these are served.

    Each is checked beside those that went live before it: of two that clash, the newer one goes.
    """
    with suppress(PikuError):
        service.check(paths, sites)
        return sites
    found: dict[AppName, State] = {}
    for name in sorted(sites, key=lambda name: os.path.getmtime(paths.app(name).live_record)):
        site, state = sites[name]
        try:
            service.check(paths, {**found, name: (site, state)})
            found[name] = (site, state)
        except PikuError as error:
            warn(f"{name} is NOT served: {error.message}")
            warn(f"fix it and deploy it again; its file is kept as {name}.conf.refused")
            text = render(vhost.directives(site, service.platform(paths), state))
            files.write(paths.app(name).refused, text)
    return found


def install_all(paths: Paths, warn: Say) -> None:
    """Install every app's file before nginx starts. One that nginx refuses is set aside, so that
    the rest is served; so is a file that somebody else put there."""
    with locks.lock(paths.uwsgi / "nginx.lock", "starting nginx"):
        for name in paths.app_names():
            if paths.app(name).refused.is_file():
                files.remove(paths.app(name).refused)
        sites, keep = states(paths)
        for name, why in keep.items():
            warn(f"{name} keeps its file for nginx: {why}; {getattr(why, 'hint', '')}")
        service.install(paths, accepted(paths, sites, warn), keep=keep)
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
        housekeeping.follow(paths, load(paths)[0].values())
