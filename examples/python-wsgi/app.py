"""The smallest app that Piku serves: a WSGI callable, without a framework."""

import os
from collections.abc import Callable, Iterable
from typing import Any

GREETING = "Hello from Piku"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{greeting}</title>
<style>body {{ font: 1.2em/1.5 sans-serif; max-width: 32em; margin: 4em auto }}</style>
<h1>{greeting}</h1>
<p>A <code>git push</code> brought this page here. It is release {release}.</p>
</html>
"""


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    body = PAGE.format(
        greeting=GREETING, release=os.environ.get("PIKU_RELEASE", "unknown")
    ).encode()
    start_response(
        "200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]
