"""Whether nginx keeps its connections to a `web` app (docs/adr/0049-kept-connections.md).

`keepalive` asks a new release again on one connection. One that sends an answer in parts without
TCP_NODELAY would take 40 ms for each request, and has a connection for each instead.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="keepalive",
    settings="piku.extras.keepalive.keepalive:SETTINGS",
    healthy="piku.extras.keepalive.keepalive:notice",
    nginx="piku.extras.keepalive.keepalive:additions",
)
