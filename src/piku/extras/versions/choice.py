"""What is decided about the version of an app's language, and what may be fetched for it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piku.app import checks
from piku.app.settings import Setting
from piku.errors import PikuError
from piku.extras.versions import ranges
from piku.runtimes.base import Context, Run

# fmt: off
FETCH = Setting(name="PIKU_FETCH_RUNTIMES", default="false", check=checks.boolean, repository=False,
    doc="true or false: fetch the Python, Node.js or Go that an app asks for and the server lacks.")
# fmt: on
SETTINGS: tuple[Setting[Any], ...] = (FETCH,)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How an app gets its version: by further settings of its runtime, as the interpreter of its
    Context, or by a folder in front of PATH with variables.

    `key` is for the environment's, `fetch` gets the version. `problem` is why the app cannot be
    built, `note` and `warning` are for the push.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    interpreter: str = ""
    folder: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    fetch: Callable[[Context], Iterator[Run]] = lambda _context: iter(())
    note: str = ""
    warning: str = ""
    problem: PikuError | None = None


def allowed(context: Context) -> bool:
    return FETCH.read(context.settings)


def dotted(version: ranges.Version) -> str:
    return ".".join(map(str, version))


def how_to_allow(context: Context) -> str:
    return f"piku config:set {context.cache.name} {FETCH.name}=true"
