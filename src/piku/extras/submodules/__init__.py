"""Other repositories in an app's repository: git keeps only the name of their commit.

A submodule is fetched into each checkout; a clone that was committed by mistake is refused.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="submodules",
    procfile="piku.extras.submodules.submodules:no_procfile",
    check="piku.extras.submodules.submodules:check",
    checked_out="piku.extras.submodules.submodules:fetch",
)
