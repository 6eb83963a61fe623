"""The setting, and what nginx does by it (nginx: ngx_http_upstream_module, "hash")."""

from piku.app import checks
from piku.app.settings import Setting
from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

_COOKIE = "piku_instance"

# fmt: off
STICKY = Setting(name="PIKU_STICKY", default="off", check=checks.choice("off", "ip", "cookie"),
    doc="ip or cookie: requests of one client reach the same instance, by its address or a cookie.")
# fmt: on
SETTINGS = (STICKY,)


def additions(_paths: Paths, _app: AppPaths, site: Site) -> Additions | None:
    """How requests are spread, where there are several instances."""
    way = STICKY.read(site.values)
    if way == "off" or not site.backend:
        return None
    if way == "ip":
        return Additions(upstream=(_hash(Raw("$piku_client")),))
    name = proxy.identifier(site)
    client, header = Raw(f"$piku_sticky_{name}"), Raw(f"$piku_sticky_set_{name}")
    known = f"$cookie_{_COOKIE}"
    cookie = f'"{_COOKIE}=$request_id; Path=/; HttpOnly; SameSite=Lax'
    # A client without the cookie gets one; its value is the ID of that request.
    chosen = block(
        "map", (Raw(known), client), [d(Raw('""'), Raw("$request_id")), d("default", Raw(known))]
    )
    given = block(
        "map",
        (Raw(f'"$piku_scheme|{known}"'), header),
        [
            d(Raw('"https|"'), Raw(f'{cookie}; Secure"')),
            d(Raw('"http|"'), Raw(f'{cookie}"')),
            d("default", Raw('""')),
        ],
    )
    return Additions(
        http=(chosen, given),
        upstream=(_hash(client),),
        headers=(d("add_header", "Set-Cookie", header, "always"),),
    )


def _hash(key: Raw) -> Directive:
    return d("hash", key, "consistent")
