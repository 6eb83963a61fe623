"""Sleeping `web` apps: stopped while nobody asks for them, woken by the next request (UWSGI_IDLE).

What uWSGI serves itself sleeps by its own means, in the core. A `web` program listens itself, so
`sleeping` stops it, and `site` has nginx send requests to the `waker`, which starts it again.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="idle",
    nginx="piku.extras.idle.site:additions",
    resting="piku.extras.idle.sleeping:resting",
    reconciled="piku.extras.idle.sleeping:forget",
    vassals="piku.extras.idle.site:vassals",
    periodic="piku.extras.idle.sleeping:periodic",
)
