"""The settings of certificates by DNS."""

from __future__ import annotations

from typing import Any

from piku.app import checks
from piku.app.settings import Setting

# fmt: off
ACME_DNS = Setting(name="ACME_DNS", check=checks.program_name,
    doc="Prove names by DNS, as a wildcard needs: the name of lego's provider, such as cloudflare."
        " Its credentials are settings as well.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (ACME_DNS,)
