"""The server of a host name that several apps share: it passes requests on by their path."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from piku.nginx import main_config
from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.site import Platform
from piku.paths import AppName

# The front sets no limits: those of the app's own server apply.
_SERVER = (
    d("client_max_body_size", 0),
    d("proxy_request_buffering", "off"),
    d("proxy_read_timeout", "1d"),
    d("proxy_send_timeout", "1d"),
    d("gzip", "off"),
)
_HEADERS = (
    d("proxy_set_header", "Host", Raw("$piku_host")),
    d("proxy_set_header", "X-Real-IP", Raw("$remote_addr")),
    d("proxy_set_header", "X-Forwarded-Proto", Raw("$scheme")),
    d("proxy_set_header", "X-Forwarded-Port", Raw("$server_port")),
    d("proxy_set_header", "Upgrade", Raw("$piku_upgrade")),
    d("proxy_set_header", "Connection", Raw("$piku_connection")),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An app that has a part of a host: the socket of its own server, and whether that is to get
    paths as they are."""

    name: AppName
    socket: str
    kept: bool
    https_only: bool


def hosts(names: Mapping[AppName, Sequence[str]]) -> dict[str, dict[str, AppName]]:
    """Which app has which path ("blog") of each host, and at "" which has the rest, if one does."""
    found: dict[str, dict[str, AppName]] = {}
    for app in sorted(names):
        for host, _, path in (name.partition("/") for name in names[app]):
            found.setdefault(host, {}).setdefault(path, app)
    return found


def hosts_of(names: Iterable[str]) -> set[str]:
    """The hosts of which these names have a path."""
    return {host for host, _, path in (name.partition("/") for name in names) if path}


def carrier(apps: Mapping[str, AppName]) -> AppName:
    """The app whose file has the server of a host, and whose certificate it uses."""
    return apps.get("") or min(apps.values())


def server(
    carrying: AppName, host: str, targets: Mapping[str, Target], platform: Platform
) -> tuple[list[Directive], tuple[Directive, ...]]:
    """What stands beside the server of a host, and the server itself."""
    beside, body = [], [d("server_name", host), main_config.challenge(platform), *_SERVER]
    suffix = platform.port_suffix(secure=True)
    for path, target in sorted(targets.items()):
        # The file must be complete in itself, so the names in it are of this file alone.
        mark = digest(f"{carrying} {host}/{path}")
        upstream, rest = f"piku-mount-{mark}", Raw(f"$piku_rest_{mark}")
        beside.append(block("upstream", (upstream,), [d("server", f"unix:{target.socket}")]))
        stripped = bool(path) and not target.kept
        if stripped:
            # As the client wrote it: nginx would decode what is encoded in it.
            found = Raw(f'"~^/{re.escape(path)}(?<piku_rest>/.*)$"')
            beside.append(block("map", (Raw("$request_uri"), rest), [d(found, Raw("$piku_rest"))]))
        passing = [
            *(_to_https(suffix) if target.https_only else ()),
            d("proxy_pass", Raw(f"http://{upstream}{rest if stripped else ''}")),
            *_HEADERS,
            d("proxy_set_header", "X-Forwarded-Prefix", f"/{path}" if stripped else ""),
            *(_prefixed(host, path) if stripped else ()),
        ]
        if stripped:
            moved = d("return", 301, Raw(f"/{path}/$is_args$args"))
            body.append(location(f"/{path}", [moved], modifier="="))
        elif path:
            body.append(location(f"/{path}", passing, modifier="="))
        body.append(location(f"/{path}/" if path else "/", passing))
    if "" not in targets:
        body.append(location("/", [d("return", 404)]))
    return beside, tuple(body)


def _to_https(suffix: str) -> Iterator[Directive]:
    target = Raw(f"https://$host{suffix}$request_uri")
    yield block("if", (Raw("($scheme = http)"),), [d("return", 301, target)])


def _prefixed(host: str, path: str) -> Iterator[Directive]:
    """Give redirects and cookies the prefix that the app does not know of, unless it does."""
    own, known = re.escape(host).replace(r"\*", "[^/]*"), rf"{re.escape(path)}(?:[/?#]|$)"
    begin = rf"((?:https?://{own}(?::[0-9]+)?)?)"
    yield d("proxy_redirect", Raw(f'"~^{begin}/(?!/|{known})(.*)$"'), Raw(f'"$1/{path}/$2"'))
    yield d("proxy_cookie_path", Raw(f'"~^/(?!{known})(.*)$"'), Raw(f'"/{path}/$1"'))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
