"""The build of a static site: what a `static` line points to, and the commit does not have.

The `build` script of package.json makes it, or a generator that is recognised by its
configuration file (`generators`): Hugo, Zola, Jekyll, MkDocs, Eleventy.
"""

from piku.extra import Extra

EXTRA = Extra(name="sites", compile="piku.extras.sites.build:steps")
