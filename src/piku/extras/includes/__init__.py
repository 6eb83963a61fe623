"""Includes: NGINX_INCLUDE_FILE may say what concerns its own app.

`rules` says what that is, `syntax` reads what nginx reads (docs/adr/0040-includes.md).
"""

from piku.extra import Extra

EXTRA = Extra(name="includes", include="piku.extras.includes.rules:checked")
