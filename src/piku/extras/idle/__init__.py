"""Sleeping `web` apps: stopped while nobody asks for them, woken by nginx (UWSGI_IDLE)."""

from piku.extra import Extra

EXTRA = Extra(name="idle", nginx="piku.extras.idle.site:additions")
