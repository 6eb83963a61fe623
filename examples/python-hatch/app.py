"""A WSGI app with one dependency, which signs the greeting."""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

from itsdangerous import Signer

GREETING = "Hello from Hatch"


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    signed = Signer("not a secret").sign(GREETING).decode()
    return [f"{signed}, itsdangerous {version('itsdangerous')}\n".encode()]
