"""Certificates of one's own, and certificates by DNS (docs/certificates.md)."""

from piku.extra import Extra

EXTRA = Extra(name="certs", settings="piku.extras.certs.settings:SETTINGS")
