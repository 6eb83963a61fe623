"""Django's static files: a push collects them, as Heroku does (docs/howto/django.md).

`collectstatic` finds out from the settings module whether there is anything to collect, and has
the setting that switches it off.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="django",
    settings="piku.extras.django.collectstatic:SETTINGS",
    compile="piku.extras.django.collectstatic:steps",
)
