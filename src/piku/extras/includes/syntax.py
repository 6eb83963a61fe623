"""nginx's syntax: the statements of a text, as its parser splits it (ngx_conf_read_token)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from piku.errors import PikuError

# A quote, a "#" or a brace has its meaning at the beginning of a word only.
_TOKEN = re.compile(
    r"""
      (?P<blank> [ \t\r\n]+ | \#[^\n]* )
    | (?P<mark> [;{}] )
    | (?P<word> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | (?!["'])(?:\\.|\$\{|[^ \t\r\n;{\\])+ )
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A directive with its arguments, and what ends it: ";", or "{" before its block; or a "}"."""

    words: tuple[str, ...]
    mark: str
    start: int
    end: int
    place: str  # "FILE:LINE"


def statements(text: str, file: str) -> Iterator[Statement]:
    """The statements of a file; raises PikuError where one does not end."""
    if "\0" in text:
        raise PikuError(f"{file} is no text")
    words: list[str] = []
    start = at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise PikuError(f"a quote or an escape that begins in {file}:{line} does not end")
        if found["word"] is not None or (found["mark"] and not words):
            start = start if words else at
        if found["word"] is not None:
            words.append(_plain(found["word"]))
        elif found["mark"]:
            place = f"{file}:{text.count(chr(10), 0, start) + 1}"
            end = found.end()
            mark = found["mark"]
            yield Statement(words=tuple(words), mark=mark, start=start, end=end, place=place)
            words = []
        at = found.end()
    if words:
        raise PikuError(f'unexpected end of {file}, where ";" or "{{" should follow {words[-1]!r}')


def one_line(text: str) -> str:
    """The same without comments and line breaks between words."""
    return " ".join(found[0] for found in _TOKEN.finditer(text) if found["blank"] is None)


def _plain(word: str) -> str:
    inner = word[1:-1] if word[0] in "\"'" else word
    return re.sub(r"\\([\"'\\])", r"\1", inner)
