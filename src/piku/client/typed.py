"""A command line of bash's that somebody is still typing: its words, and how to write what completes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = " \t\n"
# bash takes what stands behind these for a word of its own (COMP_WORDBREAKS).
_BREAKS = ":="
_PLAIN = re.compile(r"[\w@%+=:,./-]", re.ASCII)
_IN_DOUBLE = re.compile(r'["\\$`]')


@dataclass(frozen=True, kw_only=True)
class Line:
    """The words as the command would get them; the last is the one that is being typed. `quote` is the one
    that is open, and `kept` is what bash leaves of the last word as it is."""

    words: list[str]
    quote: str = ""
    kept: int = 0

    def inserted(self, value: str) -> str:
        """What bash is to put there, for this value of the last word."""
        rest = value[self.kept :]
        if self.quote == "'":
            return rest
        if self.quote:
            return _IN_DOUBLE.sub(r"\\\g<0>", rest)
        return "".join(one if _PLAIN.match(one) or ord(one) > 127 else f"\\{one}" for one in rest)


def read(text: str) -> Line:
    """Split a line at blanks as a shell would, without expanding anything of it."""
    words, quote, kept, begun = [""], "", 0, False
    place = 0
    while place < len(text):
        one = text[place]
        place += 1
        if (
            one == "\\"
            and quote != "'"
            and place < len(text)
            and (not quote or _IN_DOUBLE.match(text[place]))
        ):
            words[-1] += text[place]
            place += 1
        elif quote or one not in _BLANK + "\"'":
            words[-1] += one if one != quote else ""
            if one == quote or (one in _BREAKS and not quote):
                quote, kept = "", len(words[-1])
            elif one == "@" and not quote:  # it begins a word, and belongs to it
                kept = len(words[-1]) - 1
        elif one in _BLANK:
            if words[-1] or begun:
                words.append("")
            kept, begun = 0, False
            continue
        else:
            quote, kept = one, len(words[-1])
        begun = True
    return Line(words=words, quote=quote, kept=kept)
