"""A client's requests reach the same instance (docs/howto/websocket.md).

`PIKU_STICKY` is for apps that keep something of a client in memory, such as Socket.IO's polling.
`sticky` has nginx choose by the client's address, or by a cookie of its own.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="sticky",
    settings="piku.extras.sticky.sticky:SETTINGS",
    nginx="piku.extras.sticky.sticky:additions",
)
