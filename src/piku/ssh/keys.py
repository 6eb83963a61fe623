"""The SSH keys that may use this server (specification, "SSH Key Setup")."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files, locks, subprocesses
from piku.errors import PikuError
from piku.paths import Paths

_OPTIONS = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"
# A line of authorized_keys (sshd(8)); in a quoted option, only \" is an escape.
_LINE = re.compile(
    r'(?:(?P<options>(?:[^\s"]|"(?:\\"|[^"])*")+)\s+)?'
    r"(?P<type>(?:ssh|ecdsa|sk)-[\w@.-]+)\s+(?P<blob>[A-Za-z0-9+/]+=*)(?:\s+(?P<comment>.*))?"
)
_OURS = re.compile(r'(?:^|,)command="FINGERPRINT=(?P<fingerprint>\S+) NAME=(?P<name>\S+) ')
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that may use piku."""

    name: str
    fingerprint: str
    type: str
    comment: str


def authorized_keys(paths: Paths) -> Path:
    return paths.home / ".ssh" / "authorized_keys"


def add(paths: Paths, text: str, name: str, command: list[str], environ: dict[str, str]) -> Key:
    """Add a public key, bound to piku; raises PikuError if it is none, or known already."""
    if not _NAME.fullmatch(name):
        raise PikuError(
            f"{name[:80]!r} is not a name for a key",
            hint="use letters, digits, '.', '_', '@' and '-'",
        )
    public = _public(text)
    key = _key(public, name, _fingerprint(public[0]))
    variables = {"FINGERPRINT": key.fingerprint, "NAME": name, **environ}
    assignments = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    # In quotes, the login shell neither splits nor expands what the client sent. Piku reads it
    # from the environment, and parses it itself.
    forced = f'{assignments} {shlex.join(command)} "$SSH_ORIGINAL_COMMAND"'.replace('"', '\\"')
    with changing(paths) as lines:
        _refuse_known(authorized_keys(paths), lines, public["blob"])
        lines.append(f'command="{forced}",{_OPTIONS} {public[0]}')
    return key


def _public(text: str) -> re.Match[str]:
    """The one public key in a text, which may have comments and blank lines around it."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if any("PRIVATE KEY" in line for line in lines):
        raise PikuError("this is a private key", hint="give the public one, which ends with .pub")
    match = _LINE.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None or match["options"]:
        raise PikuError(
            "this is not one SSH public key",
            hint="give one line such as 'ssh-ed25519 AAAA… name', without options",
        )
    return match


def _fingerprint(line: str) -> str:
    command = ["ssh-keygen", "-l", "-E", "sha256", "-f", "-"]
    try:
        return subprocesses.run(command, stdin=f"{line}\n").split()[1]
    except subprocesses.ProgramFailed:
        raise PikuError(
            "ssh-keygen does not accept this key", hint="copy it again, whole and on one line"
        ) from None


def _refuse_known(place: Path, lines: Sequence[str], blob: str) -> None:
    """Raise PikuError for a key that has an entry: sshd uses the first one that it finds."""
    for number, line in enumerate(lines, 1):
        if blob in line.split() and not line.lstrip().startswith("#"):
            key = parse(line)
            how = f"as {key.name!r}" if key else f"by line {number} of {place}"
            remove = f"piku keys:remove {key.fingerprint}" if key else "remove that line"
            raise PikuError(
                f"this key can already log in here, {how}",
                hint=f"give another key, made for piku with ssh-keygen, or first: {remove}",
            )


def listed(paths: Paths) -> list[Key]:
    """The keys bound to piku; other entries of the file belong to the administrator."""
    return [key for line in _lines(paths) if (key := parse(line))]


def parse(line: str) -> Key | None:
    """The key of a line that piku wrote; None for any other line."""
    entry = _LINE.fullmatch(line.strip())
    ours = _OURS.search(entry["options"] or "") if entry else None
    return _key(entry, ours["name"], ours["fingerprint"]) if entry and ours else None


def _key(entry: re.Match[str], name: str, fingerprint: str) -> Key:
    comment = entry["comment"] or ""
    return Key(name=name, fingerprint=fingerprint, type=entry["type"], comment=comment)


@contextlib.contextmanager
def changing(paths: Paths) -> Iterator[list[str]]:
    """The lines of authorized_keys, written back as the block leaves them."""
    place = authorized_keys(paths)
    with locks.lock(place.with_suffix(".lock"), "changing keys"):
        lines = _lines(paths)
        yield lines
        place.parent.chmod(0o700)
        files.write(place, "".join(f"{line}\n" for line in lines), mode=0o600, durable=True)


def _lines(paths: Paths) -> list[str]:
    text = files.read(authorized_keys(paths))
    return text.removesuffix("\n").split("\n") if text else []
