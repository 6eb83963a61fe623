"""Scheduled jobs by hand: the list of them, and a run now."""

from piku.extra import Extra

EXTRA = Extra(
    name="cron",
    commands={
        "cron": "piku.extras.cron.commands:cron",
        "cron:run": "piku.extras.cron.commands:cron_run",
    },
)
