"""Documents as YAML. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Words that no version of YAML reads as a number, a truth value, a date or nothing.
_PLAIN = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|y|n)$)[A-Za-z/][\w./@-]*", re.ASCII)

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def render(document: Mapping[str, Any]) -> str:
    """A document of mappings, lists, strings, numbers and truth values; None is left out."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            if inner is None:
                continue
            if isinstance(inner, Mapping | list) and inner:
                yield f"{_scalar(name)}:"
                yield from (f"  {line}" for line in _lines(inner))
            else:
                yield f"{_scalar(name)}: {_scalar(inner)}"
    elif isinstance(value, Sequence) and value and not isinstance(value, str):
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    """In one line; what is not plain as JSON writes it, which YAML reads as well but for characters
    that it counts as unprintable."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
