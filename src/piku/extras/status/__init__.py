"""The whole server on one screen (`piku status`): `status.py` observes, `commands.py` prints."""

from piku.extra import Extra

EXTRA = Extra(name="status", commands={"status": "piku.extras.status.commands:status"})
