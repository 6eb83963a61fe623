"""Several apps in one repository: each is in the folder that its PIKU_APP_DIR names.

A push that changes nothing that an app depends on deploys nothing (PIKU_WATCH), and an app whose
folder was not named is refused with the command that names it.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="monorepo",
    settings="piku.extras.monorepo.monorepo:SETTINGS",
    procfile="piku.extras.monorepo.monorepo:no_procfile",
    unchanged="piku.extras.monorepo.monorepo:unchanged",
)
