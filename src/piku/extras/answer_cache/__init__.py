"""Answers of an app that nginx keeps, and gives to others (docs/nginx.md, "Caching").

`settings` has NGINX_CACHE_*; `directives` what nginx does by them.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="answer_cache",
    settings="piku.extras.answer_cache.settings:SETTINGS",
    nginx="piku.extras.answer_cache.directives:additions",
)
