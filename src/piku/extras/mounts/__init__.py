"""Mounts: several apps on one host name, each below its own path (NGINX_SERVER_NAME=a.org/blog).

Each of them keeps a server of its own in nginx, on a unix socket; one in front, in the file of the
app that has the whole name, passes requests on by their path (docs/adr/0039-mounts.md).
"""

from piku.extra import Extra

EXTRA = Extra(
    name="mounts",
    settings="piku.extras.mounts.hooks:SETTINGS",
    check="piku.extras.mounts.hooks:check",
    together="piku.extras.mounts.hooks:additions",
    starting="piku.extras.mounts.hooks:starting",
)
