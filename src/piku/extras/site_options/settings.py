"""The settings, and their checks: text to value, or ValueError with what is wrong."""

import re
from typing import Any

from piku.app import checks
from piku.app.checks import form, parts, quoted, refuse_twice
from piku.app.settings import OWN_FILES, Setting, never_served

_HASH = re.compile(
    r"\$(1|5|6|7|y|apr1|2[aby])\$[A-Za-z0-9./$=]{8,200}|\{SS?HA\}[A-Za-z0-9+/=]{20,120}"
)
# 499 is how nginx notes that a client went away: there is nobody to show a page to.
_STATUS = re.compile(r"(?!499)[45][0-9][0-9]|50x|5xx")
_SERVER_ERRORS = (500, 502, 503, 504)

size = form(r"(?i)[0-9]{1,9}[kmg]?", "a size such as 512k, 64m or 2g")


def passwords(text: str) -> tuple[tuple[str, str], ...]:
    """One or more `user:hash`: hashes are those of crypt(5), or nginx's {SSHA}."""
    pairs: dict[str, str] = {}
    for number, part in enumerate(parts(text), 1):
        # No part of the text is shown: where it is wrong, anything in it may be the password.
        user, _, password = part.partition(":")
        if not re.fullmatch(r"[\w.@+-]{1,64}", user) or not password:
            raise ValueError(f"entry {number} is not of the form user:hash")
        if not _HASH.fullmatch(password):
            raise ValueError(
                f"what follows the user in entry {number} is not a hash: make one with"
                " `openssl passwd -6`; passwords themselves are never kept"
            )
        if user in pairs:
            raise ValueError(f"entry {number} is for a user that already has one")
        pairs[user] = password
    return tuple(pairs.items())


def rate(text: str) -> tuple[str, int] | None:
    """`10/s` or `300/m`, with a burst: as nginx takes it ("10r/s"), and the burst's size."""
    if not text:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})(?:r)?/(s|m)(?:[ ,]+burst=([0-9]{1,6}))?", text)
    if not found:
        raise ValueError("not a rate such as 10/s, 300/m or '10/s burst=50', from 1 to 999999")
    count, unit, burst = found.groups()
    most = int(burst) if burst else int(count) if unit == "s" else max(1, int(count) // 10)
    return f"{count}r/{unit}", most


def hsts(text: str) -> str:
    """true, false or seconds: the value of Strict-Transport-Security."""
    first, *words = re.split(r"[ ,;]+", text.strip())
    lowered = first.lower()
    if lowered in ("", "false", "off", "no", "0"):
        return ""
    seconds = "31536000" if lowered in ("true", "on", "yes") else lowered
    known = {"includesubdomains": "includeSubDomains", "preload": "preload"}
    if not re.fullmatch(r"[0-9]{1,10}", seconds) or not all(
        word.lower() in known for word in words
    ):
        raise ValueError("not true, false or seconds, with includeSubDomains and preload if wanted")
    return "; ".join((f"max-age={seconds}", *(known[word.lower()] for word in words)))


def error_pages(text: str) -> tuple[tuple[int, str], ...]:
    """One or more `status:path`: "50x" and "5xx" stand for the errors of a server."""
    pairs = []
    for part in parts(text):
        status, colon, path = part.partition(":")
        if not colon or not path:
            raise ValueError(f"{quoted(part)} is not of the form 404:path or 50x:path")
        if not _STATUS.fullmatch(status):
            raise ValueError(
                f"{quoted(status)} is no error that a page can be shown for: 400 to 599, 50x"
            )
        if re.search(f"{never_served({})}|{OWN_FILES}", f"/{path}"):
            raise ValueError(f"{quoted(path)} is never served, as it may hold secrets")
        statuses = _SERVER_ERRORS if status.endswith("x") else (int(status),)
        pairs += [(number, checks.inner_path(path)) for number in statuses]
    refuse_twice(str(status) for status, _ in pairs)
    return tuple(pairs)


# fmt: off
HSTS = Setting(name="NGINX_HSTS", default="false", check=hsts,
    doc="Seconds that browsers use only HTTPS (true: a year); also includeSubDomains, preload.")
BASIC_AUTH = Setting(name="NGINX_BASIC_AUTH", check=passwords, secret=True,
    doc="Who may see the app: user:hash, separated by commas. `openssl passwd -6` makes a hash.")
BASIC_AUTH_PREFLIGHT = Setting(name="NGINX_BASIC_AUTH_PREFLIGHT", default="false",
    check=checks.boolean,
    doc="true or false: let CORS preflight requests (OPTIONS) through without a password.")
RATE_LIMIT = Setting(name="NGINX_RATE_LIMIT", check=rate,
    doc="Requests per client: 10/s or 300/m, with burst=50 for how many at once; others get 429.")
MAX_BODY_SIZE = Setting(name="NGINX_MAX_BODY_SIZE", default="64m", check=size,
    doc="The largest request body, such as an upload: bytes, or with k, m or g; 0 for no limit.")
PROXY_TIMEOUT = Setting(name="NGINX_PROXY_TIMEOUT", default="60", check=checks.whole(1, 86400),
    doc="Seconds for which nginx waits for the app to send something before it answers 504.")
PROXY_BUFFERING = Setting(name="NGINX_PROXY_BUFFERING", default="false", check=checks.boolean,
    doc="true or false: nginx collects an answer before it passes it on, so nothing is streamed.")
REQUEST_BUFFERING = Setting(name="NGINX_REQUEST_BUFFERING", default="true", check=checks.boolean,
    doc="true or false: nginx collects an upload before it passes it on.")
ERROR_PAGES = Setting(name="NGINX_ERROR_PAGES", check=error_pages,
    doc="Pages in the app's folder for errors that nginx itself returns: 404:path,50x:path.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (
    HSTS, BASIC_AUTH, BASIC_AUTH_PREFLIGHT, RATE_LIMIT, MAX_BODY_SIZE, PROXY_TIMEOUT,
    PROXY_BUFFERING, REQUEST_BUFFERING, ERROR_PAGES,
)  # fmt: skip
