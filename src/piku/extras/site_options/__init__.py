"""Further settings of nginx for an app: HSTS, passwords, limits, error pages (docs/nginx.md).

`settings` has the settings and their checks; `directives` what nginx does by them.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="site_options",
    settings="piku.extras.site_options.settings:SETTINGS",
    check="piku.extras.site_options.directives:missing_pages",
    uwsgi="piku.extras.site_options.directives:uwsgi",
    nginx="piku.extras.site_options.directives:additions",
    reconciled="piku.extras.site_options.directives:forget_passwords",
)
