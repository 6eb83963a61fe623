"""How NAME=value is written: in ENV, in .env, and where config:set keeps it (docs/variables.md).

The rules are python-dotenv's, with `$NAME` as well (docs/adr/0036-one-rule-for-values.md).
"""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import files
from piku.errors import PikuError

_MOST = 1 << 20  # characters of a file; Linux takes 2 MB with the arguments (execve(2))
_PIECE = re.compile(
    r"""
    \s+ | \#.* |
    (?:export[^\S\n]+)? (?P<name>[A-Za-z_]\w*) [^\S\n]*=[^\S\n]*
    (?:
        (?: (?P<quote>['"]) (?P<quoted>(?:[^\\'"]++|(?!(?P=quote))['"]|\\[\s\S])*\\?) (?P=quote)
            [^\S\n]* (?:\#.*)?
        |   (?<=\s)\#.* | (?!['"]) (?P<plain>.*)
        ) $
    |   (?P<unclosed>['"])
    ) |
    (?P<other>.)
    """,
    re.ASCII | re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(r"\s\#.*", re.ASCII)
_SPECIAL = re.compile(r"""\\(?P<escaped>[\\'"$abfnrtv])|\$(\{)?(?P<name>\w+)(?(2)\})""", re.ASCII)
_CONTROL = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def load(path: Path, lower: Mapping[str, str] | None = None) -> dict[str, str]:
    """The values in this file, by `parse`; none when there is no such file."""
    return parse(files.read(path), str(path), lower)


def parse(text: str, source: str, lower: Mapping[str, str] | None = None) -> dict[str, str]:
    """The values of a file; raises PikuError that names the line, but never quotes it.

    With `lower`, `$NAME` and `${NAME}` are replaced from earlier lines and from there; an unknown
    name stays as it is.
    """
    values: dict[str, str] = {}
    known = {} if lower is None else ChainMap(values, dict(lower))
    for entry in entries(text, source):
        values[entry["name"]] = value_of(entry, known)
    return values


def entries(text: str, source: str) -> Iterator[re.Match[str]]:
    """The part of the text that is each variable: its `name`, and what `value_of` reads."""
    if len(text) > _MOST:
        raise PikuError(f"{source} has more than 1 MB, which no program can be given as variables")
    for found in _PIECE.finditer(text):
        if found["name"] and not found["unclosed"]:
            yield found
        elif found["unclosed"] or found["other"]:
            line = f"{source} line {text.count(chr(10), 0, found.start()) + 1}"
            if found["unclosed"]:
                what = f"the value of {found['name']} begins with a quote, but does not end with it"
                raise PikuError(f"{line}: {what}")
            hint = "a name has letters, digits and '_'; a value of several lines needs quotes"
            raise PikuError(f"{line} is not of the form NAME=value", hint=hint)


def value_of(entry: re.Match[str], known: Mapping[str, str]) -> str:
    """The value of an entry, with the values of `known` names in it."""
    quote = entry["quote"]

    def replacement(part: re.Match[str]) -> str:
        name, escaped = part["name"], part["escaped"]
        if name and quote != "'":
            return known.get(name, part[0])
        if (quote == '"' and escaped) or (quote == "'" and escaped in ("'", "\\")):
            return _CONTROL.get(escaped, escaped)
        return part[0]

    return _SPECIAL.sub(replacement, entry["quoted"] if quote else _bare(entry))


def _bare(entry: re.Match[str]) -> str:
    """A value without quotes, which ends where a comment begins."""
    return _COMMENT.sub("", entry["plain"] or "").rstrip(" \t\r\f\v")


def render(values: Mapping[str, str]) -> str:
    """Lines that are read as these values, whether variables in them are replaced or not."""
    return "".join(f"{name}={_written(value)}\n" for name, value in values.items())


def _written(value: str) -> str:
    line = _PIECE.fullmatch(f"X={value}")
    if line and not line["quote"] and _bare(line) == value == value.strip() and "$" not in value:
        return value
    if not re.search(r"['\r]|\\(?:\\|\Z)", value):
        return f"'{value}'"
    # A carriage return as it is would be taken for the line ends of Windows.
    return '"' + re.sub(r'[\\"$]', r"\\\g<0>", value).replace("\r", r"\r") + '"'
