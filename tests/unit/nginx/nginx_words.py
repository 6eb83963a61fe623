"""A reader of nginx configurations, to compare what nginx is going to see with what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from piku.nginx.directives import Directive, Raw

# Name and arguments, and what is in its block.
Read = tuple[tuple[str, ...], list[Any] | None]


def words(text: str) -> Iterator[str]:
    """The words of a configuration; `;`, `{` and `}` come with a NUL in front.

    Written from ngx_conf_read_token's rules: words end at blanks, `;` and `{`; quotes only mean
    something at the beginning of a word, and only blanks, `;`, `{` and `)` may follow the closing
    one; a backslash takes the next character with it, and before a quote, another backslash, and
    t, r, n it stands for something else; `${` opens no block.
    """
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char in " \t\r\n":
            continue
        if char == "#":
            position = (text + "\n").index("\n", position)
            continue
        if char in ";{}":
            yield f"\0{char}"
            continue
        quote = char if char in "\"'" else ""
        word = "" if quote else char
        if char == "\\":
            word, position = _unescaped(text[position]), position + 1
        while True:
            char = text[position]
            if char == quote or (
                not quote and (char in " \t\r\n;" or (char == "{" and word[-1:] != "$"))
            ):
                break
            position += 1
            if char == "\\":
                char, position = _unescaped(text[position]), position + 1
            word += char
        if quote:
            position += 1
            assert text[position] in " \t\r\n;{)", f"{text[position]!r} right after a closing quote"
        yield word


def _unescaped(char: str) -> str:
    return {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}.get(char, f"\\{char}")


def read(text: str) -> list[Read]:
    """The directives of a configuration, with those within them."""
    open_blocks: list[list[Read]] = [[]]
    found: list[str] = []
    for word in words(text):
        if word == "\0;":
            open_blocks[-1].append((tuple(found), None))
        elif word == "\0{":
            inside: list[Read] = []
            open_blocks[-1].append((tuple(found), inside))
            open_blocks.append(inside)
        elif word == "\0}":
            assert not found, f"{found} before the end of a block"
            open_blocks.pop()
        else:
            found.append(word)
            continue
        found = []
    assert not found
    [outer] = open_blocks
    return outer


def meant(directives: Iterable[Directive]) -> list[Read]:
    """What `read` finds in these directives once they are written."""
    return [
        (tuple(_said(item)), None if item.body is None else meant(item.body)) for item in directives
    ]


def _said(item: Directive) -> Iterator[str]:
    yield from words(f"{item.name} ")  # ours, and perhaps in quotes
    for argument in item.args:
        if isinstance(argument, Raw):
            yield from words(f"{argument} ")
        else:
            yield argument


def named(config: str, name: str) -> list[list[str]]:
    """The arguments of each directive of that name, wherever it stands."""
    return list(_named(read(config), name))


def _named(found: Iterable[Read], name: str) -> Iterator[list[str]]:
    for said, inside in found:
        if said[0] == name:
            yield list(said[1:])
        yield from _named(inside or (), name)
