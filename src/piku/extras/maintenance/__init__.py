"""Maintenance: nginx answers 503 with a page, while the app's processes go on."""

from piku.extra import Extra

EXTRA = Extra(
    name="maintenance",
    commands={
        "maintenance:on": "piku.extras.maintenance.commands:maintenance_on",
        "maintenance:off": "piku.extras.maintenance.commands:maintenance_off",
    },
)
