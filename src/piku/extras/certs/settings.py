"""What an app says of its authority, and the server's owner of the clients, acme.sh and lego."""

from typing import Any

from piku.app import checks
from piku.app.settings import Setting

# lego's provider "exec" runs a program: that is not for what is pushed to choose.
_PROVIDER = checks.form(r"[a-z][a-z0-9_-]{0,60}", "a name such as dns_cf or cloudflare")
# The address of an ACME directory: RFC 8555, section 7.1.1.
_AUTHORITY = checks.form(
    r"[\w.-]{1,100}|https://[\w.\[\]:-]+/[\w./-]*", "an authority's name or an https address"
)
# fmt: off
ACME_ROOT_CA = Setting(name="ACME_ROOT_CA", default="letsencrypt.org", check=_AUTHORITY,
    doc="The certificate authority: a name that acme.sh knows, or its ACME directory's address.")
ACME_ROOT = Setting(name="ACME_ROOT", repository=False, check=checks.absolute_path,
    doc="The folder of acme.sh; by default .acme.sh in piku's home folder.")
ACME_DNS = Setting(name="ACME_DNS", repository=False, check=_PROVIDER,
    doc="Prove names by DNS, as a wildcard needs: the name of lego's provider, such as cloudflare."
        " Its credentials are settings as well.")
ACME_EMAIL = Setting(name="ACME_EMAIL", check=checks.email,
    doc="The address of lego's account, to which the authority may write.")
ACME_OPTIONS = Setting(name="ACME_OPTIONS", repository=False, check=checks.words,
    doc="More options for lego, quoted as in a shell.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (
    ACME_ROOT_CA, ACME_ROOT, ACME_DNS, ACME_EMAIL, ACME_OPTIONS,
)  # fmt: skip
