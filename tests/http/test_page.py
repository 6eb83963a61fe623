"""docs/http.md: what an app of each kind receives.

With UPDATE_DOCS=1 in the environment the test writes the page's table anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.support import CHECKOUT, App
from tests.http.conftest import KINDS, Echo
from tests.web.client import Answer

PAGE = CHECKOUT / "docs/http.md"
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
Shows = Callable[[Answer], str]


def header(name: str) -> Shows:
    return lambda answer: str(answer.json["headers"].get(name, "")) or "none"


def part(name: str) -> Shows:
    return lambda answer: str(answer.json[name])


def length(answer: Answer) -> str:
    return f"{part('length')(answer)} bytes"


def headed(answer: Answer) -> str:
    """What an answer to HEAD has: the length of what is not sent, and nothing of it."""
    has = "with" if answer.header("content-length") else "without"
    return f"{answer.status} {has} `Content-Length`, {len(answer.body)} bytes"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A request, and what of it an app is asked for."""

    title: str
    path: str = "/"
    options: tuple[str, ...] = ()
    shows: Shows


def sent(*headers: str) -> tuple[str, ...]:
    return tuple(word for one in headers for word in ("--header", one))


ROWS = (
    Row(title="`Host`, with the port where it is not the standard one", shows=header("host")),
    Row(title="`X-Forwarded-Host`", shows=header("x-forwarded-host")),
    Row(title="`X-Forwarded-Proto`", shows=header("x-forwarded-proto")),
    Row(title="`X-Forwarded-Proto`, forged by the client", options=sent("X-Forwarded-Proto: https"), shows=header("x-forwarded-proto")),
    Row(title="`X-Real-IP`, forged", options=sent("X-Real-IP: 203.0.113.9"), shows=header("x-real-ip")),
    Row(title="`X-Forwarded-For`, of a client that sends `203.0.113.9`", options=sent("X-Forwarded-For: 203.0.113.9"), shows=header("x-forwarded-for")),
    Row(title="`Proxy: evil`", options=sent("Proxy: evil"), shows=header("proxy")),
    Row(title="`X_Token: 1`", options=sent("X_Token: 1"), shows=header("x-token")),
    Row(title="`X-A: 1` and `X-A: 2`", options=sent("X-A: 1", "X-A: 2"), shows=header("x-a")),
    Row(title="`Connection: upgrade`, `Upgrade: h2c`", options=sent("Connection: upgrade", "Upgrade: h2c"), shows=header("upgrade")),
    Row(title="`Accept-Encoding: br`", options=sent("Accept-Encoding: br"), shows=header("accept-encoding")),
    Row(title="`Range: bytes=0-1`", options=sent("Range: bytes=0-1"), shows=header("range")),
    Row(title="the address `/a%2Fb%20c?x=%C3%A9`", path="/a%2Fb%20c?x=%C3%A9", shows=part("target")),
    Row(title="the address `//a///b`", path="//a///b", shows=part("target")),
    Row(title="the address `/a/../b;c=1`", path="/a/../b;c=1", shows=part("target")),
    Row(title="the method of `OPTIONS`", options=("--request", "OPTIONS"), shows=part("method")),
    Row(title="`HEAD`: what the client gets", options=("--head",), shows=headed),
    Row(title="the method of `DELETE` with a body of 3 bytes", options=("--request", "DELETE", "--data-binary", "abc"), shows=lambda answer: f"{part('method')(answer)}, {length(answer)}"),
    Row(title="a chunked body of 3 bytes", options=("--data-binary", "abc", *sent("Transfer-Encoding: chunked")), shows=lambda answer: f"{length(answer)}, `Content-Length` {header('content-length')(answer)}"),
    Row(title="`Expect: 100-continue`", options=("--data-binary", "abc", *sent("Expect: 100-continue")), shows=lambda answer: f"{length(answer)}, `Expect` {header('expect')(answer)}"),
)  # fmt: skip


def cell(row: Row, echo: Echo) -> str:
    """What this app says of the request; its own name and port replaced."""
    answer = echo.ask(row.path, *row.options)
    if answer.status != 200:
        return f"status {answer.status}"
    text = row.shows(answer)
    text = text.replace(f"{echo.app.host}:{echo.app.server.http_port}", "example.com:8080")
    return re.sub(r"\b127\.0\.0\.1\b", "the client", text).replace("|", "\\|")


def test_the_page(apps: dict[str, App]) -> None:
    lines = [f"| | {' | '.join(KINDS)} |", f"| --- |{' --- |' * len(KINDS)}"]
    for row in ROWS:
        cells = [cell(row, Echo(kind=kind, way="http", app=apps[kind])) for kind in KINDS]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    table = "".join(f"{line}\n" for line in lines)
    page = PAGE.read_text()
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    new = f"{page[:begin]}{table}{page[end:]}"
    if UPDATE:
        PAGE.write_text(new)
        page = new
    assert page == new, "run it with UPDATE_DOCS=1"
