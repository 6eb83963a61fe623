"""Several apps in one repository: each is in the folder that its PIKU_APP_DIR names.

A push that changes nothing that an app depends on deploys nothing (PIKU_WATCH), an app whose folder
was not named is refused with the command that names it, and Node.js packages may come from beside
the folder (`packages`).
"""

from piku.extra import Extra

EXTRA = Extra(
    name="monorepo",
    settings="piku.extras.monorepo.monorepo:SETTINGS",
    procfile="piku.extras.monorepo.monorepo:no_procfile",
    runtimes="piku.extras.monorepo.packages:ROWS",
    unchanged="piku.extras.monorepo.monorepo:unchanged",
)
