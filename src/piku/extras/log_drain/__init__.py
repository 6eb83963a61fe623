"""Sends an app's log elsewhere as well (docs/logs.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="log_drain",
    settings="piku.extras.log_drain.settings:SETTINGS",
    vassals="piku.extras.log_drain.shipping:vassals",
)
