"""Scripts that cannot run: without their executable bit, or with the line ends of Windows.

A push warns of those that the Procfile calls, and names the one at which a build failed.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="scripts",
    check="piku.extras.scripts.scripts:check",
    explain="piku.extras.scripts.scripts:explain",
)
