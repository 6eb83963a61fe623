"""Records: frozen dataclasses kept as JSON files, through one tolerant loader.

Fields that a record's type does not have, those of another version, are ignored; a file that cannot
be read as its type is an error by name, which concerns only what the file describes.
"""

from __future__ import annotations

import functools
import json
import time
import types
from collections.abc import Hashable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from piku import files

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T")


def save(path: Path, record: DataclassInstance, *, durable: bool = True) -> None:
    """Replace the record in one step; when `durable`, returns when the disk has it."""
    files.write(path, json.dumps(asdict(record), indent=1) + "\n", mode=0o600, durable=durable)


def load(path: Path, kind: type[T]) -> T | None:
    """The record in this file, None when there is no file; raises PikuError when it is damaged."""
    try:
        found = path.stat()
        # A new file may have the number and, for some milliseconds, the time of one that has gone.
        load = _load if time.time() - found.st_mtime > 1 else _load.__wrapped__
        record: T = load(path, cast("Hashable", kind), found.st_ino, found.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise files.damaged(path, f"cannot be read: {error.strerror}") from None
    return record


@functools.lru_cache(4096)
def _load(path: Path, kind: Any, *_state: int) -> Any:
    """The record in a file that was last seen in this state: each is parsed once."""
    try:
        return _made(kind, json.loads(files.read(path)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise files.damaged(path) from None


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _made(kind: Any, value: Any) -> Any:
    """`value`, as JSON has it, as a value of this type."""
    if is_dataclass(kind) and isinstance(kind, type):
        known = {field.name for field in fields(kind)} & value.keys()
        return kind(**{name: _made(_hints(kind)[name], value[name]) for name in known})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        inner = [one for one in arguments if one is not type(None)]
        return None if value is None else _made(inner[0], value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(kind)
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_made(one, part) for one, part in zip(each, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _made(arguments[1], part) for key, part in value.items()}
    if kind is float:
        return float(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise TypeError(kind)
    return value
