"""What nginx does for a `web` app that may sleep: the waker answers once the app listens again; and
the vassal that the waker is."""

from collections.abc import Collection
from pathlib import Path

import piku
from piku.extras.idle import sleeping
from piku.nginx import proxy
from piku.nginx.directives import Raw, block, d, location
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths
from piku.uwsgi import housekeeping, ini

WAKE, AWAKE = "@piku-wake", "@piku-awake"
_THREADS = 128
_ASLEEP = 418  # a status that no client sees


def additions(paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """What the site of an app that sleeps has in addition."""
    if not sleeping.limit(site):
        return None
    asleep = (Raw("(-f"), str(sleeping.marker(app)), Raw(")"))
    wakes = [
        block("if", asleep, [d("return", _ASLEEP)]),
        # Nobody listens while the app starts: a 502 wakes it, too.
        d("error_page", 502, _ASLEEP, Raw("="), WAKE),
        d("recursive_error_pages", "on"),
    ]
    # An app that breaks off is awake, and may have done already what the request asked for.
    sent = (Raw("($upstream_bytes_sent"), Raw("~"), Raw('"[1-9]")'))
    wake = [
        block("if", sent, [d("return", 502)]),
        d("uwsgi_pass", f"unix:{_socket(paths)}"),
        d("uwsgi_pass_request_body", "off"),
        d("uwsgi_param", "PIKU_APP", site.app),
        d("uwsgi_param", "REQUEST_METHOD", Raw("$request_method")),
        d("uwsgi_param", "SERVER_PROTOCOL", Raw("$server_protocol")),
        d("uwsgi_read_timeout", "75s"),
    ]
    return Additions(
        proxy=tuple(wakes),
        server=(location(WAKE, wake), location(AWAKE, proxy.bare(site))),
    )


def vassals(paths: Paths, sites: Collection[Site]) -> dict[str, str]:
    """The waker's own vassal, while there is an app to wake."""
    if not any(map(sleeping.limit, sites)):
        return {}
    options = (
        ("env", f"PIKU_ROOT={paths.root}"),
        ("env", f"HOME={paths.home}"),
        ("plugins", "python3"),
        ("pythonpath", str(Path(piku.__file__).resolve().parents[1])),
        ("module", "piku.extras.idle.waker:application"),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        ("processes", "1"),
        ("threads", str(_THREADS)),
        ("disable-logging", "true"),
        *ini.idle(30),
    )
    text = housekeeping.vassal(paths, "waker", options)
    return {"@waker.ini": text, f"@waker.ini{ini.DEMAND}": str(_socket(paths))}


def _socket(paths: Paths) -> Path:
    return paths.uwsgi / "waker.sock"
