"""Backups: one file per app, with everything that its next server needs.

`archive` is the file's format, `contents` what of an app is in it (docs/adr/0052-backups.md). What
reads it is the extra `restore`, what is done regularly the extra `backup_schedule`.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="backup",
    commands={"backup": "piku.extras.backup.commands:backup"},
    settings="piku.extras.backup.settings:SETTINGS",
)
