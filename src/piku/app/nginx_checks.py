"""Checks of the settings for nginx (see `checks`): text to value, or ValueError."""

from __future__ import annotations

import re
from collections.abc import Iterable

from piku.app import checks
from piku.app.checks import form, quoted

# Beginnings of piku's own addresses: challenges of certificate authorities, and internal ones.
_RESERVED = ("/.well-known/acme-challenge/", "/@piku-", "/@before-")
_URL = re.compile(r"/[\w./+~@-]*")
_LONGEST_URL = 1000  # bytes, of the 4096 that nginx takes for a word
_HASH = re.compile(
    r"\$(1|5|6|7|y|apr1|2[aby])\$[A-Za-z0-9./$=]{8,200}|\{SS?HA\}[A-Za-z0-9+/=]{20,120}"
)
# 499 is how nginx notes that a client went away: there is nobody to show a page to.
_STATUS = re.compile(r"(?!499)[45][0-9][0-9]|50x|5xx")
_SERVER_ERRORS = (500, 502, 503, 504)

size = form(r"(?i)[0-9]{1,9}[kmg]?", "a size such as 512k, 64m or 2g")


def url(text: str) -> str:
    """A path of an address: such as /docs."""
    if not text:
        return ""
    if not _URL.fullmatch(text) or "//" in text or {".", ".."} & set(text.split("/")):
        raise ValueError(f"{quoted(text)} is not a path of an address, such as /docs")
    if len(text.encode()) > _LONGEST_URL:
        raise ValueError(f"{quoted(text)} is too long")
    if f"{text}/".startswith(_RESERVED):
        raise ValueError(f"{quoted(text)} is used by piku itself")
    return text


def static_paths(text: str) -> tuple[tuple[str, str], ...]:
    """`/prefix:path`, several: a prefix without a slash at its end, or "/"; a file or folder."""
    pairs = []
    for part in _parts(text):
        prefix, colon, path = part.partition(":")
        if not colon or not prefix or not path:
            raise ValueError(f"{quoted(part)} is not of the form /prefix:path")
        pairs.append((url(prefix).rstrip("/") or "/", file_path(path)))
    _refuse_twice(prefix for prefix, _ in pairs)
    return tuple(pairs)


def file_path(text: str) -> str:
    """A path: relative to the app's folder, or absolute; links are followed when it is used."""
    if not text.startswith("/"):
        return "." if text in (".", "./") else checks.inner_path(text)
    return "/" + checks.inner_path(text.lstrip("/"))


def cache_prefixes(text: str) -> tuple[str, ...]:
    """Prefixes of addresses, between `|` or commas."""
    found = tuple(url("/" + part.lstrip("/")) for part in _parts(text.replace("|", ",")))
    _refuse_twice(prefix.rstrip("/") for prefix in found)
    return found


def passwords(text: str) -> tuple[tuple[str, str], ...]:
    """`user:hash`, several: hashes are those of crypt(5), or nginx's {SSHA}."""
    pairs: dict[str, str] = {}
    for number, part in enumerate(_parts(text), 1):
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
    """`status:path`, several: "50x" and "5xx" stand for the errors of a server."""
    pairs = []
    for part in _parts(text):
        status, colon, path = part.partition(":")
        if not colon or not path:
            raise ValueError(f"{quoted(part)} is not of the form 404:path or 50x:path")
        if not _STATUS.fullmatch(status):
            raise ValueError(
                f"{quoted(status)} is no error that a page can be shown for: 400 to 599, 50x"
            )
        statuses = _SERVER_ERRORS if status.endswith("x") else (int(status),)
        pairs += [(number, checks.inner_path(path)) for number in statuses]
    _refuse_twice(str(status) for status, _ in pairs)
    return tuple(pairs)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _refuse_twice(items: Iterable[str]) -> None:
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise ValueError(f"{quoted(item)} is there twice")
        seen.add(item)
