"""The whole server on one screen (`piku status`), and the address of an app (`piku url`).

`status.py` observes, `commands.py` prints.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="status",
    commands={
        "status": "piku.extras.status.commands:status",
        "url": "piku.extras.status.commands:url",
    },
)
