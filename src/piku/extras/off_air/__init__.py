"""A push that would take an app off the air by mistake is refused (docs/nginx.md).

`check` compares what the release would serve with what is live: an ENV that was forgotten, a `web`
line that was renamed. To take an app off the air on purpose, stop it first.
"""

from piku.extra import Extra

EXTRA = Extra(name="off_air", check="piku.extras.off_air.check:check")
