"""Files named .env: a line for each setting, with values taken literally."""

from __future__ import annotations

import re
from collections.abc import Mapping

from piku.errors import PikuError

_LINE = re.compile(
    r"\s*(?:export\s+)?(?P<key>[^\s=#]+)\s*=\s*"
    r"(?:(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)|(?P<plain>.*?))(?:\s+#.*)?\s*"
)


def parse(text: str, source: str) -> dict[str, str]:
    """The values of a file. Quotes around a value and a comment after it go; nothing is replaced.
    Raises PikuError that names the line."""
    values = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise PikuError(f"{source} line {number} is not of the form NAME=value")
        values[found["key"]] = _value(found)
    return values


def _value(found: re.Match[str]) -> str:
    return found["plain"] if found["quote"] is None else found["quoted"]


def updated(text: str, values: Mapping[str, str]) -> str:
    """The file's text with these values; other lines stay, and new names come last."""
    lines, left = [], dict(values)
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        value = left.pop(found["key"], None) if found else None
        changed = found and value is not None and value != _value(found)
        lines.append(
            render(found["key"], value) if found and changed and value is not None else line
        )
    lines += [render(key, value) for key, value in left.items()]
    return "".join(f"{line}\n" for line in lines)


def render(key: str, value: str) -> str:
    """The line that `parse` reads as this value."""
    for written in (value, f"'{value}'", f'"{value}"'):
        found = _LINE.fullmatch(line := f"{key}={written}")
        if found and _value(found) == value:
            return line
    raise PikuError(f"the value of {key} cannot be written to a file", hint="see: piku config:get")
