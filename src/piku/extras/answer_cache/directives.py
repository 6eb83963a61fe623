"""What nginx does by these settings, for one app (nginx: ngx_http_proxy_module, "proxy_cache")."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from piku.errors import PikuError
from piku.extras.answer_cache import settings
from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

# What makes an answer somebody's own, or not that of its address: who asks, and what is sent along.
_OWN = ("cookie", "authorization", "content_length", "transfer_encoding")
# In an address as it was sent: what another program may read as another path than nginx does.
_DOUBTFUL = r"%(?i:00|25|2e|2f|3b|5c)|;|\x5c|//|/\."


def _folder(app: AppPaths, values: Mapping[str, str]) -> Path:
    """Where answers are kept: in a folder of its own, for nginx removes whatever else is there."""
    wanted = settings.PATH.read(values)
    own = (app.cache.resolve(), app.data.resolve())
    found = Path(os.path.realpath(app.cache / wanted), "nginx")
    if not any(found.is_relative_to(folder) for folder in own):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted} is not in a folder of the app's own",
            hint=f"give a path in {own[0]} or {own[1]}",
        )
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PikuError(f"NGINX_CACHE_PATH={wanted} cannot be made: {error.strerror}") from None
    return found


def additions(_paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """The cache, which answers it keeps, and what says where an answer comes from."""
    if not site.backend or not settings.PREFIXES.read(site.values):
        return None
    folder = _folder(app, site.values)
    # nginx refuses to reload when the same name changes path or protocol.
    place = hashlib.sha256(f"{folder} {site.backend}".encode()).hexdigest()[:8]
    zone = f"piku_{site.app}_{place}"
    return Additions(
        http=(_zone(site, zone, folder), *_choices(site, zone)),
        proxy=_keeping(site),
        headers=(d("add_header", "X-Cache", Raw("$upstream_cache_status"), "always"),),
    )


def _zone(site: Site, zone: str, folder: Path) -> Directive:
    size = f"max_size={settings.SIZE.read(site.values)}g"
    expiry = f"inactive={settings.EXPIRY.read(site.values)}s"
    options = ("levels=1:2", f"keys_zone={zone}:1m", size, expiry, "use_temp_path=off")
    return d(f"{proxy.protocol(site)}_cache_path", str(folder), *options)


def _choices(site: Site, zone: str) -> tuple[Directive, ...]:
    """Which answers are kept, and which of these a browser may keep."""
    chosen, expires, unended = _variables(site)
    # A prefix ends where a part of the path ends: "/images" is not "/images-of-others".
    kept = [prefix.strip("/") for prefix in settings.PREFIXES.read(site.values)]
    rules = [d(Raw(rf'"~^[^? ]*({_DOUBTFUL})"'), "off")]
    rules += [d(Raw(f'"~^[^ ]* {re.escape(f"/{one}") if one else ""}(/|$)"'), zone) for one in kept]
    # Where only the end of the connection ends an answer, nothing says that it was cut off: under
    # uWSGI without a length, over HTTP without chunks either.
    lengths = "$upstream_http_content_length"
    lengths += "" if site.backend == "uwsgi" else "$upstream_http_transfer_encoding"
    # An answer with a cookie, or to somebody who is known, is for nobody else; an app that says how
    # long its answer holds knows better.
    heads = "$upstream_http_set_cookie$upstream_http_cache_control$upstream_http_expires"
    heads += "".join(f"$http_{name}" for name in _OWN) + str(unended)
    seconds = settings.CONTROL.read(site.values)
    asked = (Raw('"$request_uri $uri"'), chosen)
    holds = (Raw(f'"{chosen} {heads}"'), expires)
    return (
        block("map", (Raw(f'"{lengths}"'), unended), [d(Raw('""'), 1), d("default", "")]),
        block("map", asked, [*rules, d("default", "off")]),
        block("map", holds, [d(Raw(f'"{zone} "'), f"{seconds}s"), d("default", "off")]),
    )


def _keeping(site: Site) -> tuple[Directive, ...]:
    begin, values = f"{proxy.protocol(site)}_cache", site.values
    chosen, expires, unended = _variables(site)
    own = [Raw(f"$http_{name}") for name in _OWN]
    times = (
        (200, settings.TIME.read(values)),
        (301, 302, 307, 308, settings.REDIRECTS.read(values)),
        (408, 425, 429, 500, 502, 503, 504, 0),  # a short failure must not last for an hour
        ("any", settings.ANY.read(values)),
    )
    stale = ("error", "timeout", "updating", "http_500", "http_503")
    return (
        d(f"{proxy.protocol(site)}_buffering", "on"),  # without it nothing is kept
        d(begin, chosen),
        d(f"{begin}_key", Raw("$piku_scheme$request_method$piku_host$request_uri")),
        d(f"{begin}_bypass", *own),
        d(f"{proxy.protocol(site)}_no_cache", *own, unended),
        d(f"{begin}_lock", "on"),
        d(f"{begin}_background_update", "on"),
        d(f"{begin}_use_stale", *stale),
        *(d(f"{begin}_valid", *codes, f"{seconds}s") for *codes, seconds in times),
        d("expires", expires),
    )


def _variables(site: Site) -> tuple[Raw, Raw, Raw]:
    """What holds the cache's name ("off" where nothing is kept), the time for browsers, and whether
    nothing says where the answer ends."""
    kinds, name = ("cache", "kept", "unended"), proxy.identifier(site)
    chosen, expires, unended = (Raw(f"$piku_{kind}_{name}") for kind in kinds)
    return chosen, expires, unended
