"""ENV files: how variables are written, and which names and values they may have."""

from __future__ import annotations

import re
from collections.abc import Mapping

from piku.app.settings import GIVEN
from piku.errors import PikuError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
MAX_VALUE = 64 * 1024


def check_pair(key: str, value: str) -> None:
    """Refuse a name or value that cannot reach a process unchanged."""
    if not _KEY.fullmatch(key):
        raise PikuError(
            f"{key[:80]!r} is not a setting's name",
            hint="names have letters, digits and '_', as in DATABASE_URL",
        )
    if key in GIVEN:
        raise PikuError(f"{key} is given to the app by piku and cannot be set")
    if key.startswith("LD_"):
        raise PikuError(f"{key} cannot be set: it changes how every program of the app is loaded")
    if "\n" in value or "\r" in value or "\0" in value:
        raise PikuError(
            f"the value of {key} has more than one line",
            hint="encode it first, for example with base64",
        )
    if value.endswith((" ", "\t")):
        raise PikuError(f"the value of {key} ends with a blank", hint="uWSGI would drop it")
    if len(value.encode(errors="surrogateescape")) > MAX_VALUE:
        raise PikuError(f"the value of {key} is longer than {MAX_VALUE // 1024} kB")


def parse_literal(text: str) -> dict[str, str]:
    """The file that config:set keeps: each value is exactly what follows the first '='."""
    pairs = (
        line.partition("=") for line in text.split("\n") if "=" in line and not line.startswith("#")
    )
    return {key: value for key, _, value in pairs}


def render_literal(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def parse_file(text: str, lower: Mapping[str, str], *, source: str = "ENV") -> dict[str, str]:
    """An ENV file that a person wrote; raises PikuError that names the line.

    Comments and blank lines are skipped. `$NAME` and `${NAME}` are replaced from earlier lines and
    the `lower` layers; an unknown name stays as it is. A value in single quotes is literal.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        key = key.strip()
        if not equals:
            raise PikuError(
                f"{source} line {number}: {stripped[:60]!r} is not of the form NAME=value"
            )
        expanded = _expand(value.strip(), {**lower, **values})
        try:
            check_pair(key, expanded)
        except PikuError as error:
            raise PikuError(f"{source} line {number}: {error.message}", hint=error.hint) from None
        values[key] = expanded
    return values


def _expand(value: str, known: Mapping[str, str]) -> str:
    quote = value[0] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else ""
    inner = value[1:-1] if quote else value
    if quote == "'":
        return inner
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), inner)
