"""Updates of piku itself (`piku update`): a checkout pulls, the Debian package is installed by apt.

Both go back if the new version finds a problem that was not there before (`selfcheck.py`).
"""

from piku.extra import Extra

EXTRA = Extra(name="update", commands={"update": "piku.extras.update.commands:update"})
