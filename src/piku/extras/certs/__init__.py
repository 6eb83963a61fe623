"""Own certificates, the list of all, and lego, which proves names by HTTP or DNS
(docs/certificates.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="certs",
    settings="piku.extras.certs.settings:SETTINGS",
    check="piku.extras.certs.certs:warnings",
    acme_client="piku.extras.certs.lego:CLIENT",
    commands={
        "certs": "piku.extras.certs.commands:certs",
        "certs:add": "piku.extras.certs.commands:certs_add",
        "certs:remove": "piku.extras.certs.commands:certs_remove",
    },
)
