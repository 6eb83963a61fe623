"""The settings of log drains."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from piku.app import checks
from piku.app.settings import Setting

UDP, TCP, TLS = "syslog", "syslog+tcp", "syslog+tls"
_PORTS = {UDP: 514, TCP: 601, TLS: 6514}


@dataclass(frozen=True, kw_only=True)
class Drain:
    """A receiver of log lines."""

    scheme: str
    host: str
    port: int


def receivers(text: str) -> tuple[Drain, ...]:
    """One or more addresses: the receivers, each once; raises ValueError."""
    words = (word.strip() for word in text.split(","))
    return tuple(dict.fromkeys(_drain(word) for word in words if word))


def _drain(text: str) -> Drain:
    scheme = text.partition("://")[0].lower()
    if scheme.partition("+")[0] in ("http", "https"):
        raise ValueError(f"a drain over HTTP is not supported: use {TLS}://HOST:PORT")
    if scheme not in _PORTS or "://" not in text:
        raise ValueError(f"not one of {', '.join(f'{name}://' for name in _PORTS)}")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("its host or port is invalid") from None
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", host) or port == 0:
        raise ValueError("its host or port is invalid" if host else "it has no host")
    if url.username is not None or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(f"only HOST:PORT may follow {scheme}://")
    return Drain(scheme=scheme, host=host, port=port or _PORTS[scheme])


LOG_DRAIN = Setting(
    name="PIKU_LOG_DRAIN",
    check=receivers,
    doc="Where else the app's logs are sent: syslog://HOST:PORT, syslog+tcp:// or syslog+tls://;"
    " several separated by commas.",
)
LOG_DRAIN_CA = Setting(
    name="PIKU_LOG_DRAIN_CA",
    check=checks.file_path,
    doc="A PEM file of certificate authorities to trust for log drains in place of the system's:"
    " in the repository, or by an absolute path.",
)

SETTINGS: tuple[Setting[Any], ...] = (LOG_DRAIN, LOG_DRAIN_CA)
