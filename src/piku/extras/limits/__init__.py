"""What an app may take of the server: memory, processors, processes (docs/limits.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="limits",
    settings="piku.extras.limits.settings:SETTINGS",
    destroyed="piku.extras.limits.limits:destroyed",
)
