"""The list of Cloudflare's networks is kept up to date (docs/nginx.md, "Only Cloudflare").

`refresh` fetches it, once a day, when an app that admits only Cloudflare is deployed. Without this
extra, the list that comes with piku counts.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="cloudflare",
    settings="piku.extras.cloudflare.refresh:SETTINGS",
    check="piku.extras.cloudflare.refresh:check",
)
