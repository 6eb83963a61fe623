"""Told when something breaks: a webhook, mail and a heartbeat (docs/alerts.md).

Housekeeping looks every two minutes, and after every deploy: `problems` are what is wrong at this
moment, `watch` compares them with the last look, `send` delivers. There is no daemon, and a server
without an address for alerts does not look.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="alerts",
    commands={
        "alerts": "piku.extras.alerts.commands:alerts",
        "alerts:test": "piku.extras.alerts.commands:alerts_test",
    },
    settings="piku.extras.alerts.settings:SETTINGS",
    periodic="piku.extras.alerts.watch:periodic",
)
