"""When pip gets its packages through the index here: unless somebody has told it another way."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from piku import files
from piku.deploy.deployment import Deployment
from piku.extras.package_cache.index import Index
from piku.runtimes.base import Run

_PYPI = "https://pypi.org/simple"
_USUAL = f"Looking in indexes: {_PYPI}"  # which pip says of all indexes but this
_PLAIN_URL = re.compile(r"https?://[\w.:\[\]-]+(/[\w.~-]+)*/?")
# Settings, and options in pip's configuration files, by which it reaches indexes in other ways.
_OTHER_WAYS = re.compile(r"(?i)(PIP_(NO_INDEX|PROXY|CLIENT_CERT|TRUSTED_HOST)|(HTTPS?|ALL)_PROXY)")
_CONFIGURED = re.compile(
    r"(?m)^\s*(index[-_]url|no[-_]index|proxy|client[-_]cert|trusted[-_]host)\b"
)
_FILES = ("/etc/pip.conf", "/etc/xdg/pip/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@contextmanager
def around(
    deployment: Deployment, step: Run, how: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Run a server beside `pip install`, of which what pip prints says nothing."""
    env, sink = how["env"], how["sink"]
    upstream = index_of(step.argv, env)
    trusted = _trusted(env) if upstream else None
    if trusted is None:
        yield how
        return
    store = deployment.app.cache.parent / "@pip"
    store.mkdir(parents=True, exist_ok=True)
    files.sweep(store)
    with Index(upstream, store, trusted) as index:
        ours = re.compile(rf"{re.escape(index.address)}/(simple|[0-9a-f]{{64}}/)")

        def show(line: str) -> None:
            text = ours.sub(lambda found: upstream if found[1] == "simple" else "", line)
            if text != _USUAL:
                sink(text)

        Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield {
                **how,
                "env": {**env, "PIP_INDEX_URL": f"{index.address}/simple"},
                "sink": show,
            }
        finally:
            index.shutdown()


def index_of(argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    """The index that a program would get packages from, if it is pip and that is all it was told;
    else nothing."""
    if Path(argv[0]).name != "pip" or argv[1:2] != ("install",):
        return ""
    configured = (files.read(Path(name).expanduser()) for name in _FILES)
    url = env.get("PIP_INDEX_URL") or _PYPI
    if any(map(_OTHER_WAYS.fullmatch, env)) or any(map(_CONFIGURED.search, configured)):
        return ""
    return url.rstrip("/") if _PLAIN_URL.fullmatch(url) else ""


def _trusted(env: Mapping[str, str]) -> ssl.SSLContext | None:
    """The authorities that pip trusts; nothing if their file cannot be read from here."""
    named = (env[name] for name in _CERTIFICATES if env.get(name))
    try:
        return ssl.create_default_context(cafile=next(named, None))
    except OSError:
        return None
