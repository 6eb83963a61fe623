"""Checks of the settings for nginx (see `checks`): text to value, or ValueError."""

from __future__ import annotations

import re
from collections.abc import Iterable

from piku.app import checks
from piku.app.checks import quoted

# Beginnings of piku's own addresses: challenges of certificate authorities, and internal ones.
_RESERVED = ("/.well-known/acme-challenge/", "/@piku-", "/@before-")
_URL = re.compile(r"/[\w./+~@-]*")
_LONGEST_URL = 1000  # bytes, of the 4096 that nginx takes for a word


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
    for part in parts(text):
        prefix, colon, path = part.partition(":")
        if not colon or not prefix or not path:
            raise ValueError(f"{quoted(part)} is not of the form /prefix:path")
        pairs.append((url(prefix).rstrip("/") or "/", file_path(path)))
    refuse_twice(prefix for prefix, _ in pairs)
    return tuple(pairs)


def file_path(text: str) -> str:
    """A path: relative to the app's folder, or absolute; links are followed when it is used."""
    if not text.startswith("/"):
        return "." if text in (".", "./") else checks.inner_path(text)
    return "/" + checks.inner_path(text.lstrip("/"))


def cache_prefixes(text: str) -> tuple[str, ...]:
    """Prefixes of addresses, between `|` or commas."""
    found = tuple(url("/" + part.lstrip("/")) for part in parts(text.replace("|", ",")))
    refuse_twice(prefix.rstrip("/") for prefix in found)
    return found


def parts(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def refuse_twice(items: Iterable[str]) -> None:
    """Raise ValueError when an item is not the only one of its kind."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise ValueError(f"{quoted(item)} is there twice")
        seen.add(item)
