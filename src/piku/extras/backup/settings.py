"""The setting for backups."""

from typing import Any

from piku.app.settings import Setting

COMMAND = Setting(
    name="PIKU_BACKUP_COMMAND", check=str, doc="A command of the app, run before each backup of it."
)
SETTINGS: tuple[Setting[Any], ...] = (COMMAND,)
