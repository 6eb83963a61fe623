"""The version of its language that an app asks for, in .python-version, package.json, go.mod, …

`wanted` reads the files, `ranges` what they say; `choose` has a function for each language that
decides: what is here, or what is fetched, if PIKU_FETCH_RUNTIMES allows it, or why not. `hooks`
makes the runtime follow, and says in the push which version and which of the app's files count.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="versions",
    settings="piku.extras.versions.choice:SETTINGS",
    version="piku.extras.versions.hooks:version",
    check="piku.extras.versions.hooks:check",
    explain="piku.extras.versions.explain:explain",
)
