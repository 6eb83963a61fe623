"""Certificates that an app's owner gave, and the list of all (docs/certificates.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="certs",
    commands={
        "certs": "piku.extras.certs.commands:certs",
        "certs:add": "piku.extras.certs.commands:certs_add",
        "certs:remove": "piku.extras.certs.commands:certs_remove",
    },
)
