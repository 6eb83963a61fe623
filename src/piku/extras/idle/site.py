"""What nginx does for a `web` app that may sleep: the waker answers once the app listens again."""

from __future__ import annotations

from piku.extras.idle import sleeping, waker
from piku.nginx import proxy
from piku.nginx.directives import Raw, block, d, location
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

WAKE = "@piku-wake"
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
        d("uwsgi_pass", f"unix:{waker.socket_path(paths)}"),
        d("uwsgi_pass_request_body", "off"),
        d("uwsgi_param", "PIKU_APP", site.app),
        d("uwsgi_param", "REQUEST_METHOD", Raw("$request_method")),
        d("uwsgi_param", "SERVER_PROTOCOL", Raw("$server_protocol")),
        d("uwsgi_read_timeout", "75s"),
    ]
    return Additions(
        proxy=tuple(wakes),
        server=(location(WAKE, wake), location(waker.AWAKE, proxy.bare(site))),
    )
