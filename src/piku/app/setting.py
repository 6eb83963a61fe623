"""What a setting is: a name, a default, a check of its text, and a sentence for the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from piku.errors import PikuError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[T]):
    """A setting that piku reads.

    `check` turns the text into a value, or raises ValueError that says what is wrong with it.
    `repository` is False for a setting that is read before any commit is, so that it cannot be in
    one. The text of a `secret` is never shown.
    """

    name: str
    default: str = ""
    check: Callable[[str], T]
    doc: str
    repository: bool = True
    secret: bool = False

    def read(self, values: Mapping[str, str]) -> T:
        """The checked value; raises PikuError that names the setting."""
        text = values.get(self.name, self.default).strip() or self.default
        try:
            return self.check(text)
        except ValueError as error:
            shown = "" if self.secret else f"={repr(text[:80])[1:-1]}"
            raise PikuError(f"{self.name}{shown}: {error}", hint=self.doc) from None
