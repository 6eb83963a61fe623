"""Includes for uWSGI: UWSGI_INCLUDE_FILE may say what concerns its own app.

`rules` reads what uWSGI reads, and says what that is (docs/adr/0040-includes.md); `dry_run` has
uWSGI read it before it is used.
"""

from piku.extra import Extra

EXTRA = Extra(name="uwsgi_includes", uwsgi="piku.extras.uwsgi_includes.rules:check")
