"""nginx directives as data, and the one renderer that quotes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from piku.errors import PikuError


class Raw(str):
    """Text of ours that may hold nginx variables; what a user gave is never Raw."""


@dataclass(frozen=True)
class Directive:
    """One directive: name and arguments, and for a block what is inside."""

    name: str
    args: tuple[str, ...] = ()
    body: tuple[Directive, ...] | None = None


def d(name: str, *args: str | int) -> Directive:
    return Directive(name, tuple(arg if isinstance(arg, str) else str(arg) for arg in args))


def block(name: str, args: Sequence[str], body: Iterable[Directive]) -> Directive:
    return Directive(name, tuple(args), tuple(body))


def location(path: str, body: Iterable[Directive], *, modifier: str = "") -> Directive:
    """A location; `modifier` is "=" (exactly), "~" (a regex) or "^~" (before any regex)."""
    return block("location", (*((Raw(modifier),) if modifier else ()), path), body)


def render(directives: Iterable[Directive], indent: str = "") -> str:
    """Directives as nginx reads them; raises PikuError for text that it cannot hold."""
    lines = []
    for item in directives:
        head = indent + " ".join((item.name, *map(quote, item.args)))
        body = ";" if item.body is None else f" {{\n{render(item.body, indent + '    ')}{indent}}}"
        lines.append(f"{head}{body}\n")
    return "".join(lines)


def quote(text: str) -> str:
    """One argument; raises PikuError for text that nginx cannot hold."""
    if isinstance(text, Raw):
        return text
    # nginx has no way to write a literal '$', and a line break would end up in the file as it is.
    bad = re.search(r"[$\x00-\x1f\x7f\ud800-\udfff]", text)
    if bad:
        raise PikuError(f"{text[:80]!r} cannot be given to nginx: it contains {bad[0]!r}")
    if text and re.fullmatch(r"[\w./:=@%+,*~^\[\]-]+", text) and text not in ("~", "=", "^~"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
