"""Certificates of one's own, and certificates by DNS (docs/certificates.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="certs",
    settings="piku.extras.certs.settings:SETTINGS",
    commands={
        "certs": "piku.extras.certs.commands:certs",
        "certs:add": "piku.extras.certs.commands:certs_add",
        "certs:remove": "piku.extras.certs.commands:certs_remove",
    },
)
