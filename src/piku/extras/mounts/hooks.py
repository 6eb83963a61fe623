"""The setting, what a mounted app may not set, and what is in nginx's files of apps that share a
name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from piku import dotenv, files
from piku.app import checks, settings
from piku.app.settings import Setting
from piku.deploy import live_sites, releases
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.mounts import front
from piku.nginx import service
from piku.nginx.directives import Directive, Raw, d
from piku.nginx.site import Additions, Site
from piku.paths import AppName, Paths

KEEP_PREFIX = Setting(
    name="NGINX_KEEP_PREFIX",
    default="false",
    check=checks.boolean,
    doc="true or false: an app with a path in NGINX_SERVER_NAME sees requests with that path.",
)

SETTINGS: tuple[Setting[Any], ...] = (KEEP_PREFIX,)

# Settings of a whole host name.
_WHOLE = (
    "NGINX_REDIRECT_FROM", "NGINX_HSTS", "NGINX_IPV4_ADDRESS", "NGINX_IPV6_ADDRESS", "DISABLE_IPV6",
)  # fmt: skip


def check(deployment: Deployment) -> list[str]:
    """Refuse what only the app with the whole name can set; say whose paths are taken."""
    paths, app, values = deployment.paths, deployment.app, deployment.values
    mounted = [name for name in settings.SERVER_NAME.read(values) if "/" in name]
    everywhere = dotenv.parse(files.read(paths.server_env), "the server's ENV")
    for setting in _WHOLE:
        if mounted and values.get(setting) and values[setting] != everywhere.get(setting):
            host = mounted[0].partition("/")[0]
            raise PikuError(
                f"{setting} is for a whole host name, and this app has only {mounted[0]}",
                hint=f"set it in the app that has {host} itself",
            )
    sites = {name: site for name, site in live_sites.load(paths)[0].items() if name != app.name}
    _refuse_moved(values, sites)
    live = releases.live(app)
    before = live.site.names if live and live.site else ()
    shared = front.hosts({name: site.names for name, site in sites.items()})
    said = []
    for name in mounted:
        host, _, path = name.partition("/")
        if name not in before and (owner := shared.get(host, {}).get("")):
            said.append(f"/{path} of {host} is no longer answered by the app {owner!r}")
    return said


def _refuse_moved(values: Mapping[str, str], sites: Mapping[AppName, Site]) -> None:
    """Refuse a host name that is redirected as a whole, here or in another app, and has paths."""
    mounted = front.hosts_of(settings.SERVER_NAME.read(values))
    moved = set(settings.REDIRECT_FROM.read(values))
    for name, site in sites.items():
        both = mounted.intersection(site.redirect_from) | moved & front.hosts_of(site.names)
        if both:
            hint = "a host name that is redirected has no paths: choose another one"
            raise PikuError(f"{min(both)} belongs to the app {name!r}", hint=hint)


def additions(paths: Paths, sites: Mapping[AppName, Site]) -> Mapping[AppName, Additions]:
    """The sockets of apps that share a name, and the servers in front that one's file has."""
    shared = {
        host: apps
        for host, apps in front.hosts({name: one.names for name, one in sites.items()}).items()
        if any(apps)
    }
    sharing = {name for apps in shared.values() for name in apps.values()}
    return {name: _additions(paths, name, sites, shared) for name in sharing}


def _additions(
    paths: Paths,
    app: AppName,
    sites: Mapping[AppName, Site],
    shared: Mapping[str, Mapping[str, AppName]],
) -> Additions:
    site, http = sites[app], list[Directive]()
    fronts: dict[str, tuple[Directive, ...]] = {}
    for host, apps in shared.items():
        if front.carrier(apps) == app:
            targets = {
                path: front.Target(
                    name=name,
                    socket=str(_socket(paths, name)),
                    kept=KEEP_PREFIX.read(sites[name].values),
                    https_only=sites[name].https_only,
                )
                for path, name in apps.items()
            }
            beside, fronts[host] = front.server(app, host, targets, service.platform(paths))
            http += beside
    # From elsewhere than another server of ours, the header means nothing.
    listen = [
        d("listen", f"unix:{_socket(paths, app)}"),
        d("set_real_ip_from", "unix:"),
        d("real_ip_header", "X-Real-IP"),
    ]
    if all("/" in name or name in fronts for name in site.names):
        listen.append(d("server_name", *site.all_names))
    # PHP has a program's own path there.
    script = d("uwsgi_param", "SCRIPT_NAME", Raw("$piku_prefix"), "if_not_empty")
    told = (script,) if site.backend == "uwsgi" and site.serving != "php" else ()
    return Additions(http=tuple(http), listen=tuple(listen), fronts=fronts, proxy=told)


def starting(paths: Paths) -> None:
    """Remove the sockets that an nginx that was killed has left: another one could not start."""
    if service.master_pid(paths) is None:
        for place in paths.nginx.glob("@*.socket"):
            files.remove(place)


def _socket(paths: Paths, name: AppName) -> Path:
    # Short: a socket's path has at most 107 characters.
    return paths.nginx / f"@{front.digest(name)}.socket"
