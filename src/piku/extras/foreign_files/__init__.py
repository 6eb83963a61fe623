"""Files that tell other systems how to run an app: what of them is used, and what is not.

`app_json` reads an app.json as Heroku does for a new app: settings that it begins with, and a
command to run once. `files` says the rest, in a push.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="foreign_files",
    initial="piku.extras.foreign_files.app_json:initial",
    check="piku.extras.foreign_files.files:warnings",
    deployed="piku.extras.foreign_files.app_json:postdeploy",
)
