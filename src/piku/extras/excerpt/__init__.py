"""A push shows of a long output what matters; the build log has all of it (docs/runtimes.md).

`excerpt` says which lines of a program are shown: by their place and by time, not by what they say.
"""

from piku.extra import Extra

EXTRA = Extra(name="excerpt", around="piku.extras.excerpt.excerpt:around")
