"""What a pyproject.toml says, as far as Poetry and uv differ in it."""

from __future__ import annotations

import tomllib
from typing import Any

from piku.app.tree import Tree
from piku.errors import PikuError

NAME = "pyproject.toml"


def read(tree: Tree) -> dict[str, Any]:
    """The document; empty when there is none. Raises PikuError when it is damaged."""
    try:
        return tomllib.loads(tree.read(NAME)) if NAME in tree.files else {}
    except tomllib.TOMLDecodeError as error:
        raise PikuError(f"{NAME} is not valid TOML: {error}") from None


def table(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """The table of this name; empty when there is none."""
    for name in names:
        found = document.get(name)
        document = found if isinstance(found, dict) else {}
    return document


def is_poetry(document: dict[str, Any]) -> bool:
    """Whether the project is Poetry's: by its build backend, or by a table of its settings."""
    backend = str(table(document, "build-system").get("build-backend", ""))
    return backend.startswith("poetry.") or "poetry" in table(document, "tool")


def has_path(value: Any) -> bool:
    """Whether a dependency, or one anywhere in this table, is a folder or file of the repository."""
    if isinstance(value, dict):
        return (
            "path" in value
            or "workspace" in value
            or any(has_path(item) for item in value.values())
        )
    if isinstance(value, list):
        return any(has_path(item) for item in value)
    return isinstance(value, str) and "@ file:" in value
