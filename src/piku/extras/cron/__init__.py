"""Scheduled jobs: the list of them, a run now, and the time zone of their schedules."""

from piku.extra import Extra

EXTRA = Extra(
    name="cron",
    settings="piku.extras.cron.zone:SETTINGS",
    commands={
        "cron": "piku.extras.cron.commands:cron",
        "cron:run": "piku.extras.cron.commands:cron_run",
    },
    reconciled="piku.extras.cron.forget:reconciled",
)
