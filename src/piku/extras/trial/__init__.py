"""A trial load: an app that uWSGI serves is loaded once before the old release stops for it.

Two releases with one port cannot run side by side, so a broken one would cost an interruption.
"""

from piku.extra import Extra

EXTRA = Extra(name="trial", stopping="piku.extras.trial.trial:load")
