"""Certificates that an authority signs, or that an owner gives, and the list of all of them.

Until there is one, the core serves a self-signed certificate (docs/certificates.md). `renew` gets
what is due by one of two `clients` (docs/adr/0014-acme-client.md); `commands` has the commands.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="certs",
    commands={
        "certs": "piku.extras.certs.commands:certs",
        "certs:add": "piku.extras.certs.commands:certs_add",
        "certs:renew": "piku.extras.certs.commands:certs_renew",
        "certs:remove": "piku.extras.certs.commands:certs_remove",
    },
    settings="piku.extras.certs.settings:SETTINGS",
    check="piku.extras.certs.clients:warnings",
    periodic="piku.extras.certs.renew:periodic",
)
