"""Updates of piku itself (`piku update`)."""

from piku.extra import Extra

EXTRA = Extra(
    name="update",
    commands={"update": "piku.extras.update.commands:update"},
)
