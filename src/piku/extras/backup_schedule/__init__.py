"""Backups that are made regularly, kept in one of several places, and missed when they stop.

Housekeeping starts `piku backup:run APP`, which is `piku backup APP` into a program that keeps what
it gets: `targets` has those, `schedule` when it is due.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="backup_schedule",
    commands={
        "backup:run": "piku.extras.backup_schedule.commands:backup_run",
        "backup:schedule": "piku.extras.backup_schedule.commands:backup_schedule",
    },
    periodic="piku.extras.backup_schedule.schedule:start_due",
    findings="piku.extras.backup_schedule.schedule:findings",
)
