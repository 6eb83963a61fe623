"""How nginx has a sleeping `web` app woken: the waker answers when the app listens again."""

from __future__ import annotations

from piku.nginx import proxy
from piku.nginx.directives import Raw, block, d, location
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

WAKE, AWAKE = "@piku-wake", "@piku-awake"


def additions(paths: Paths, _app: AppPaths, site: Site) -> Additions | None:
    """What the site of an app that sleeps has in addition."""
    if not site.sleeps:
        return None
    # Nobody listens while the app sleeps: a 502 wakes it. Any other error has the app's own page.
    pages = [
        d("error_page", status, proxy.error_address(status, file))
        for status, file in site.error_pages
        if status != 502
    ]
    wakes = [d("error_page", 502, Raw("="), WAKE), *pages, d("recursive_error_pages", "on")]
    # An app that breaks off is awake, and may have done already what the request asked for.
    sent = (Raw("($upstream_bytes_sent"), Raw("~"), Raw('"[1-9]")'))
    wake = [
        block("if", sent, [d("return", 502)]),
        d("uwsgi_pass", f"unix:{paths.waker}"),
        d("uwsgi_pass_request_body", "off"),
        d("uwsgi_param", "PIKU_APP", site.app),
        d("uwsgi_param", "REQUEST_METHOD", Raw("$request_method")),
        d("uwsgi_param", "SERVER_PROTOCOL", Raw("$server_protocol")),
        d("uwsgi_read_timeout", "75s"),
    ]
    return Additions(
        # An open connection would keep the app awake.
        upstream=(d("keepalive_timeout", "5s"),),
        proxy=tuple(wakes),
        server=(location(WAKE, wake), location(AWAKE, proxy.bare(site))),
    )
