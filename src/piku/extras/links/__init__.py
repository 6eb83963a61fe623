"""Links in folders that nginx serves: those that it follows, and those that uWSGI must not serve.

Without this extra nginx follows none. `links` finds those that lead to other files of the app, such
as what PIKU_PERSIST makes, and has nginx follow them and no link behind them.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="links",
    links="piku.extras.links.links:followed",
    nginx="piku.extras.links.links:additions",
    prepare="piku.extras.links.links:refuse_secrets",
)
