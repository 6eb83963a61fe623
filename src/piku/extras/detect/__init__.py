"""A commit without a Procfile runs by what its files say, where they leave no doubt.

`detect.detect` decides, from names and texts alone; `hooks` gives a push what it found, and says
so. `piku init` on a laptop asks the same function: `detect`, `fit`, `python` and `node` import
nothing of the server's.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="detect",
    procfile="piku.extras.detect.hooks:procfile",
    initial="piku.extras.detect.hooks:initial",
    check="piku.extras.detect.hooks:warnings",
)
