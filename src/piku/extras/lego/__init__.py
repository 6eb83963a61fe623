"""lego, an ACME client that Debian has: where acme.sh is not installed, and for wildcards, which it
proves by DNS (docs/certificates.md, docs/adr/0014-acme-client.md)."""

from piku.extra import Extra

EXTRA = Extra(
    name="lego",
    settings="piku.extras.lego.settings:SETTINGS",
    check="piku.extras.lego.lego:warnings",
    acme_client="piku.extras.lego.lego:client",
)
