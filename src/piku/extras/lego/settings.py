"""The settings of lego."""

from __future__ import annotations

from typing import Any

from piku.app import checks
from piku.app.settings import Setting

# lego's provider "exec" runs a program: that is not for what is pushed to choose.
_PROVIDER = checks.form(r"[a-z][a-z0-9_-]{0,60}", "a name such as dns_cf or cloudflare")
# fmt: off
ACME_DNS = Setting(name="ACME_DNS", repository=False, check=_PROVIDER,
    doc="Prove names by DNS, as a wildcard needs: the name of lego's provider, such as cloudflare."
        " Its credentials are settings as well.")
ACME_EMAIL = Setting(name="ACME_EMAIL", check=checks.email,
    doc="The address of lego's account, to which the authority may write.")
ACME_OPTIONS = Setting(name="ACME_OPTIONS", repository=False, check=checks.words,
    doc="More options for lego, quoted as in a shell.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (ACME_DNS, ACME_EMAIL, ACME_OPTIONS)
