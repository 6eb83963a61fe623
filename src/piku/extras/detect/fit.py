"""What detection looks at, and what it finds."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTENS = "it must listen on the port in the variable PORT"


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a checkout, and the app's settings where they are known; `read` gives "" for a
    file that does not exist."""

    names: Sequence[str]
    read: Callable[[str], str]
    settings: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.names


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was recognised, and because of what; the lines of a Procfile that fit, and why they
    would not run yet (`missing`); settings that it needs, and notes on what is left to do."""

    title: str
    lines: tuple[str, ...]
    because: str
    missing: str = ""
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def document(files: Files, name: str) -> dict[str, Any]:
    """A JSON or TOML file; empty when it is malformed, which its own tool explains better."""
    loads = json.loads if name.endswith(".json") else tomllib.loads
    try:
        found = loads(files.read(name))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def table(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The table of this name in a document; empty when there is none."""
    for name in names:
        inner = found.get(name)
        found = inner if isinstance(inner, dict) else {}
    return dict(found)


def search(pattern: str, text: str) -> re.Match[str] | None:
    """The first match in any line."""
    return re.search(pattern, text, re.MULTILINE)
