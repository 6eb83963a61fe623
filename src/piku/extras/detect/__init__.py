"""A commit without a Procfile runs by what its files say, where they leave no doubt.

`detect` decides by names and texts alone, for a push (`hooks`) and for `piku init` on a laptop:
it and what it imports have nothing of the server's.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="detect",
    procfile="piku.extras.detect.hooks:procfile",
    initial="piku.extras.detect.hooks:initial",
    check="piku.extras.detect.hooks:warnings",
)
