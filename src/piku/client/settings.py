"""`config:push` and `config:pull`: an app's settings, and a .env file on the laptop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from piku import files
from piku.app import variables
from piku.client import dotenv, known, ssh
from piku.client.address import Target
from piku.errors import PikuError


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would be different afterwards, by the names; `values` is what the other side has."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    values: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed)

    def lines(self) -> list[str]:
        """Names alone: values are nobody's business."""
        return [
            *(f"new      {name}" for name in self.new),
            *(f"changed  {name}" for name in self.changed),
        ]


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    return Change(
        new=tuple(name for name in after if name not in before),
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
        values=after,
    )


def on_server(target: Target) -> dict[str, str]:
    """What config:set keeps for the app."""
    return variables.parse_literal(ssh.capture(target, ["config"]))


def in_file(file: Path) -> dict[str, str]:
    """What the file gives; raises PikuError when there is none."""
    if not file.is_file():
        raise PikuError(f"there is no file {file}", hint="name another one: piku config:push FILE")
    return dotenv.parse(files.read(file), source=str(file))


def push(target: Target, change: Change, *, restart: bool) -> int:
    """Set what differs, as one release; returns the exit code of config:set."""
    names = (*change.new, *change.changed)
    pairs = "".join(f"{name}={change.values[name]}\n" for name in names)
    known.forget(target)
    # Over standard input: what stands in a command can be seen by everybody on the machine.
    return ssh.feed(target, ["config:set", "-", *([] if restart else ["--no-restart"])], pairs)


def pull(file: Path, change: Change) -> None:
    """Write what differs into the file, which nobody else may read."""
    text = dotenv.updated(files.read(file), change.values, str(file))
    files.write(file, text, mode=0o600)
