"""The keys that may push: whether sshd takes them, and they still lead to piku."""

from __future__ import annotations

import base64
import os
import re
import shlex
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from piku import files, subprocesses
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.ssh import keys as access

_COMMAND = re.compile(r'(?:^|,)command="(?P<command>(?:[^"\\]|\\.)*)"')
_KEY = re.compile(
    r"(?:^|\s)(?P<type>(?:ssh|ecdsa|sk)-[\w@.-]+)\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s|$)"
)
_RESTRICTIONS = ("no-agent-forwarding", "no-user-rc", "no-X11-forwarding", "no-port-forwarding")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of authorized_keys that binds a key to piku: its name, the program that it runs, and the
    variables that this is given."""

    number: int
    name: str
    program: str
    variables: tuple[tuple[str, str], ...]


def keys(scene: Scene) -> Iterator[Finding]:
    """What keeps keys from working."""
    file = access.authorized_keys(scene.paths)
    yield from _strict(scene.paths.home, file)
    if not os.access(file, os.R_OK) and file.exists():
        return
    lines = files.read(file).splitlines()
    found = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = read(number, line)
        if isinstance(entry, Finding):
            yield entry
        elif entry is not None:
            found += 1
            yield from _leads(scene, file, entry)
    if not found:
        yield warning("no key may push yet", "piku setup:ssh FILE")


def _strict(home: Path, file: Path) -> Iterator[Finding]:
    """sshd(8), StrictModes: it passes over keys that somebody else could have written."""
    for path in (home, file.parent, file):
        if not path.exists():
            continue
        seen = path.stat()
        if seen.st_uid not in (os.getuid(), 0):
            yield problem(
                f"sshd lets no key in: {path} belongs to another user",
                f"sudo chown {os.getuid()} {path}",
            )
        elif seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield problem(
                f"sshd lets no key in: {path} can be written by others", f"chmod go-w {path}"
            )
    if file.exists() and not os.access(file, os.R_OK):
        yield problem(f"{file} cannot be read", f"chmod u+rw {file}")


def read(number: int, line: str) -> Entry | Finding | None:
    """What a line of authorized_keys says; a finding for one that is damaged, None for one that is not piku's."""
    bound = _COMMAND.search(line)
    key = _KEY.search(line[bound.end() :] if bound else line)
    if bound is None:
        if "FINGERPRINT=" in line or key is None or not _is_whole(key["type"], key["key"]):
            return _damaged(number)
        return None
    words = _words(bound["command"].replace('\\"', '"'))
    variables = tuple(
        (word.partition("=")[0], word.partition("=")[2]) for word in words if _assigns(word)
    )
    if "FINGERPRINT" not in dict(variables):
        return None
    program = next((word for word in words if not _assigns(word)), "")
    if key is None or not _is_whole(key["type"], key["key"]) or not program:
        return _damaged(number)
    options = line[: key.start() + bound.end()]
    name = dict(variables).get("NAME", "")
    if any(option not in options for option in _RESTRICTIONS):
        return warning(
            f"the key {name!r} (line {number}) lacks restrictions that piku gives: it may forward ports or agents",
            f"piku keys:remove {shlex.quote(name)} && piku setup:ssh FILE",
        )
    return Entry(number=number, name=name, program=program, variables=variables)


def _damaged(number: int) -> Finding:
    return problem(
        f"line {number} of authorized_keys is damaged, so sshd passes over it",
        f"sed -i {number}d ~/.ssh/authorized_keys && piku setup:ssh FILE",
    )


def _assigns(word: str) -> bool:
    return bool(re.match(r"[A-Za-z_]\w*=", word))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _is_whole(kind: str, key: str) -> bool:
    """Whether a key is all there: it begins with its own type (RFC 4253, section 6.6), and its parts fill it."""
    try:
        blob = base64.b64decode(key, validate=True)
        parts, at = [], 0
        while at < len(blob):
            (size,) = struct.unpack_from(">I", blob, at)
            parts.append(blob[at + 4 : at + 4 + size])
            at += 4 + size
        return at == len(blob) and parts[0] == kind.encode() and len(parts) > 1
    except (ValueError, struct.error, IndexError):
        return False


def _leads(scene: Scene, file: Path, entry: Entry) -> Iterator[Finding]:
    """Whether the program that a key is bound to is there, and works on this very root."""
    program = subprocesses.which(entry.program)
    if program is None:
        here = subprocesses.which("piku") or "the path of piku"
        yield problem(
            f"the key {entry.name!r} cannot push: it is bound to {entry.program}, which is no program here",
            f"sed -i '{entry.number}s|{entry.program}|{here}|' {shlex.quote(str(file))}",
        )
        return
    root = dict(entry.variables).get("PIKU_ROOT", str(scene.paths.home / ".piku"))
    if Path(root).resolve() != scene.paths.root.resolve():
        yield warning(
            f"the key {entry.name!r} leads to another piku root, {root}",
            f"piku keys:remove {shlex.quote(entry.name)} && piku setup:ssh FILE",
        )
        return
    yield ok(f"the key {entry.name!r} leads to {program}")
