"""PIKU_PERSIST: paths that are kept in the app's data folder, and linked into every release.

What the live release has there is moved once; `persist.py` has both.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="persist",
    settings="piku.extras.persist.persist:SETTINGS",
    superseding="piku.extras.persist.persist:move",
    prepare="piku.extras.persist.persist:link",
)
