"""Backups become apps again: `unpack` checks the whole file, `restore` makes the app of it."""

from piku.extra import Extra

EXTRA = Extra(
    name="restore",
    commands={
        "backup:verify": "piku.extras.restore.commands:backup_verify",
        "restore": "piku.extras.restore.commands:restore",
    },
)
