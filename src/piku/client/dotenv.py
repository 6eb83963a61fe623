"""Files named .env, as the tools of many languages read and write them: values are taken literally, and no
`$NAME` in them is replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from piku.app import variables
from piku.errors import PikuError

_BEGINNING = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<key>[^\s=#]+)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'(?P<value>[^']*)'")
_DOUBLE = re.compile(r'"(?P<value>(?:[^"\\]|\\.)*)"', re.DOTALL)
_REST = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?=\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "`": "`"}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~-]*")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One assignment: what it gives, and where it begins in the file, behind any `export`, and ends."""

    key: str
    value: str
    begin: int
    end: int


def parse(text: str, *, source: str = ".env") -> dict[str, str]:
    """What a file gives; the last of several values of a name counts. Raises PikuError that names the line,
    also for names and values that no app on a server can have."""
    return {entry.key: entry.value for entry in entries(text, source)}


def entries(text: str, source: str) -> Iterator[Entry]:
    """The assignments of a file, in its order."""
    place = 0
    while place < len(text):
        line = text[place:].partition("\n")[0]
        if not line.strip() or line.lstrip().startswith("#"):
            place += len(line) + 1
            continue
        number = text.count("\n", 0, place) + 1
        begun = _BEGINNING.match(text, place)
        if begun is None:
            raise PikuError(
                f"{source} line {number}: {line.strip()[:60]!r} is not of the form NAME=value"
            )
        value, end = _value(text, begun.end(), f"{source} line {number}")
        try:
            variables.check_pair(begun["key"], value)
        except PikuError as error:
            raise PikuError(f"{source} line {number}: {error.message}", hint=error.hint) from None
        yield Entry(key=begun["key"], value=value, begin=begun.start("key"), end=end)
        place = text.find("\n", end) + 1 or len(text)


def _value(text: str, place: int, where: str) -> tuple[str, int]:
    """The value that begins there, and where it ends."""
    quote = text[place : place + 1]
    if quote not in ("'", '"') or not quote:
        line = text[place:].partition("\n")[0]
        value = re.split(r"(?:^|[ \t])#", line, maxsplit=1)[0].rstrip()
        return value, place + len(value)
    found = (_SINGLE if quote == "'" else _DOUBLE).match(text, place)
    if found is None or not _REST.match(text, found.end()):
        raise PikuError(
            f"{where}: this value's quote {quote} has no end, or something stands after it"
        )
    value = found["value"]
    if quote == '"':
        value = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), value)
    return value, found.end()


def render(values: Mapping[str, str]) -> str:
    """Lines that `parse` reads as these values, and other tools as well."""
    return "".join(f"{key}={quoted(value)}\n" for key, value in values.items())


def quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = re.sub(r'(["\\$`])', r"\\\1", value).replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def updated(text: str, values: Mapping[str, str], source: str) -> str:
    """The file's text with these values: lines that have them already, comments and other names stay as
    they are, what is new comes last."""
    before = list(entries(text, source))
    parts, place = [], 0
    for entry in before:
        if values.get(entry.key, entry.value) != entry.value:
            parts += [text[place : entry.begin], f"{entry.key}={quoted(values[entry.key])}"]
            place = entry.end
    rest = "".join((*parts, text[place:]))
    new = {
        key: value for key, value in values.items() if key not in {entry.key for entry in before}
    }
    return rest + ("\n" if rest and new and not rest.endswith("\n") else "") + render(new)
