"""Maintenance: an app answers 503 to everybody, whatever is deployed meanwhile (docs/nginx.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="maintenance",
    commands={
        "maintenance:on": "piku.extras.maintenance.commands:maintenance_on",
        "maintenance:off": "piku.extras.maintenance.commands:maintenance_off",
    },
    nginx="piku.extras.maintenance.state:additions",
    check="piku.extras.maintenance.state:warnings",
    findings="piku.extras.maintenance.state:findings",
)
