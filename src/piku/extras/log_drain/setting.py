"""Where an app's log lines are sent as well: the text of PIKU_LOG_DRAIN."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

UDP, TCP, TLS, LOGPLEX, JSON = "syslog", "syslog+tcp", "syslog+tls", "https", "https+json"
# What a person writes, what it means, whether it is encrypted, and the port when none is given.
_SCHEMES = {
    "syslog": (UDP, False, 514),
    "syslog+tcp": (TCP, False, 601),
    "syslog+tls": (TLS, True, 6514),
    "http": (LOGPLEX, False, 80),
    "https": (LOGPLEX, True, 443),
    "http+json": (JSON, False, 80),
    "https+json": (JSON, True, 443),
}


class Drain(NamedTuple):
    """A receiver: `kind` is how it is spoken to. `user` ("NAME:PASSWORD") and `path` may hold secrets."""

    kind: str
    secure: bool
    host: str
    port: int
    path: str
    user: str
    shown: str  # the address without what may be secret


def parse(text: str) -> tuple[Drain, ...]:
    """The receivers, each once. What is wrong is said without the address: it may hold secrets."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = []
    for number, word in enumerate(words, 1):
        which = f"address {number}: " if len(words) > 1 else ""
        try:
            found.append(_drain(word))
        except ValueError as error:
            raise ValueError(f"{which}{error}") from None
    return tuple(dict.fromkeys(found))


def receivers(text: str) -> tuple[str, ...]:
    """The same as a setting keeps them."""
    parse(text)
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _drain(text: str) -> Drain:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an address has neither blanks nor letters beyond ASCII")
    scheme, mark, _ = text.partition("://")
    if not mark or scheme.lower() not in _SCHEMES:
        raise ValueError(f"not one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    kind, secure, usual = _SCHEMES[scheme.lower()]
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise ValueError("its host or port is not one") from None
    if not host or port == 0:
        raise ValueError("it lacks a host" if not host else "its host or port is not one")
    if url.fragment:
        raise ValueError("it has a '#'")
    by_http = kind in (LOGPLEX, JSON)
    if not by_http and (url.username is not None or url.path not in ("", "/") or url.query):
        raise ValueError("nothing but HOST:PORT follows syslog://")
    user = (
        f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username is not None else ""
    )
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    shown = f"{scheme.lower()}://{f'[{host}]' if ':' in host else host}:{port or usual}"
    return Drain(kind, secure, host, port or usual, path if by_http else "", user, shown)
