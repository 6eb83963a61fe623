"""Ranges of versions as npm, Python, Poetry and Ruby write them. Pure."""

import re
from collections.abc import Iterable

Version = tuple[int, ...]

_CLAUSE = re.compile(
    r"(===?|!=|~=|~>|>=|<=|[<>=^~]?)\s*v?(\d+|[xX*])((?:\.(?:\d+|[xX*]))*)[\w.+-]*"
)


def version(text: str) -> Version:
    """The numbers of a version; raises ValueError when it is none."""
    found = re.fullmatch(r"v?(\d+(?:\.\d+){0,3})[\w.+-]*", text.strip())
    if not found:
        raise ValueError(f"not a version: {text[:40]!r}")
    return tuple(map(int, found[1].split(".")))


def allows(range_: str, here: Version) -> bool:
    """Whether a version is in a range; raises ValueError for one that is not understood."""
    # All of them, so that each is looked at.
    return True in [_all_of(part, here) for part in range_.split("||")]


def _all_of(text: str, here: Version) -> bool:
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text)
    if _CLAUSE.sub("", text).strip(" ,"):
        raise ValueError(f"not a range of versions: {text[:40]!r}")
    return all(_clause(found, here) for found in _CLAUSE.finditer(text))


def _clause(found: re.Match[str], here: Version) -> bool:
    sign, words = found[1], [found[2], *found[3].split(".")[1:]]
    known = next((n for n, word in enumerate(words) if not word.isdigit()), len(words))
    bound = tuple(map(int, words[:known]))
    padded = (*bound, 0, 0, 0)[: max(3, len(bound))]
    same = here[: len(bound)] == bound
    if sign in ("", "=", "==", "==="):
        return same
    if sign in ("<", "<="):
        return here < padded or (sign == "<=" and same)
    if sign == ">":
        return here > padded
    if sign == "!=":
        return not same
    kept = 0 if sign == ">=" else _kept(sign, bound)
    return here >= padded and here[:kept] == bound[:kept]


def _kept(sign: str, bound: Version) -> int:
    """How many numbers of a lower bound may not change."""
    if sign == "^":
        return next((n + 1 for n, number in enumerate(bound) if number), len(bound))
    return min(2, len(bound)) if sign == "~" else max(1, len(bound) - 1)


def nearest(range_: str, here: Version, candidates: Iterable[Version]) -> Version:
    """The candidate in a range next to what is here: the first one above it, else the last below,
    else nothing. A candidate such as (3, 12) stands for all that begin so."""
    ends = ((0, 0), (999, 999))
    fitting = [one for one in candidates if any(allows(range_, (*one, *end)) for end in ends)]
    above = [one for one in fitting if one > here]
    return above[0] if above else max(fitting, default=())
