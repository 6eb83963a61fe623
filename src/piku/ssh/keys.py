"""The SSH keys that may use this server (specification, "SSH Key Setup")."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.paths import Paths

_OPTIONS = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"
_ENTRY = re.compile(
    r'command="FINGERPRINT=(?P<fingerprint>\S+) NAME=(?P<name>\S+) .*?(?<!\\)",\S* (?P<key>.+)'
)
_PUBLIC = re.compile(
    r"(?P<type>(ssh|ecdsa|sk)-[\w@.-]+) (?P<key>[A-Za-z0-9+/]+=*)( (?P<comment>.*))?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that piku let in."""

    name: str
    fingerprint: str
    type: str
    comment: str


def authorized_keys(paths: Paths) -> Path:
    return paths.home / ".ssh" / "authorized_keys"


def add(paths: Paths, text: str, name: str, command: list[str], environ: dict[str, str]) -> Key:
    """Let a public key in, bound to piku; raises PikuError for what is no key, or is there already."""
    if not _NAME.fullmatch(name):
        raise PikuError(
            f"{name[:80]!r} is not a name for a key",
            hint="use letters, digits, '.', '_', '@' and '-'",
        )
    match = _single_key(text)
    fingerprint = _fingerprint(match[0])
    known = next((key for key in listed(paths) if key.fingerprint == fingerprint), None)
    if known is not None:
        raise PikuError(
            f"this key is here already, as {known.name!r}",
            hint=f"remove it with: piku keys:remove {known.name}",
        )
    _refuse_login(paths, match[0].split()[1])
    variables = {"FINGERPRINT": fingerprint, "NAME": name, **environ}
    assignments = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    # In quotes, the shell that sshd uses does not split or expand what the client sent. We read it
    # from the environment, and parse it ourselves.
    forced = f'{assignments} {shlex.join(command)} "$SSH_ORIGINAL_COMMAND"'
    escaped = forced.replace('"', '\\"')  # sshd reads every other backslash as one
    _append(authorized_keys(paths), f'command="{escaped}",{_OPTIONS} {match[0].strip()}\n')
    return Key(
        name=name, fingerprint=fingerprint, type=match["type"], comment=match["comment"] or ""
    )


def _refuse_login(paths: Paths, public: str) -> None:
    """Raise PikuError for a key that may log in here by an entry that is not piku's: sshd takes the first."""
    place = authorized_keys(paths)
    for number, line in enumerate(files.read(place).splitlines(), 1):
        if public in line.split() and not line.lstrip().startswith("#") and _parse(line) is None:
            raise PikuError(
                f"this key may log in here already, by line {number} of {place}: sshd would never come to piku's",
                hint="give another key, made for piku with ssh-keygen, or take that line out",
            )


def _single_key(text: str) -> re.Match[str]:
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")
    ]
    if any("PRIVATE KEY" in line for line in lines):
        raise PikuError(
            "this is a private key", hint="give the public one, whose file name ends with .pub"
        )
    match = _PUBLIC.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        raise PikuError(
            "this is not one SSH public key",
            hint="give one line such as 'ssh-ed25519 AAAA… name', from a .pub file",
        )
    return match


def _fingerprint(line: str) -> str:
    try:
        answer = subprocesses.run(
            ["ssh-keygen", "-l", "-E", "sha256", "-f", "-"], stdin=f"{line}\n"
        )
    except subprocesses.ProgramFailed:
        raise PikuError(
            "ssh-keygen does not accept this key", hint="copy it again, whole and on one line"
        ) from None
    return answer.split()[1]


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    text = files.read(path)
    files.write(
        path,
        text + ("" if not text or text.endswith("\n") else "\n") + line,
        mode=0o600,
        durable=True,
    )


def listed(paths: Paths) -> list[Key]:
    """The keys bound to piku; others in the file are not ours to show."""
    return [
        key
        for key in map(_parse, files.read(authorized_keys(paths)).splitlines())
        if key is not None
    ]


def _parse(line: str) -> Key | None:
    entry = _ENTRY.fullmatch(line.strip())
    public = _PUBLIC.fullmatch(entry["key"]) if entry else None
    if entry is None or public is None:
        return None
    return Key(
        name=entry["name"],
        fingerprint=entry["fingerprint"],
        type=public["type"],
        comment=public["comment"] or "",
    )


def remove(paths: Paths, wanted: str) -> list[Key]:
    """Take away the keys of this name or fingerprint; raises PikuError when there is none."""
    found = [key for key in listed(paths) if wanted in (key.name, key.fingerprint)]
    if not found:
        raise PikuError(
            f"no key has the name or fingerprint {wanted!r}", hint="see them with: piku keys"
        )
    gone = {key.fingerprint for key in found}
    path = authorized_keys(paths)
    kept = [line for line in files.read(path).splitlines() if not _is_one_of(line, gone)]
    files.write(path, "".join(f"{line}\n" for line in kept), mode=0o600, durable=True)
    return found


def _is_one_of(line: str, fingerprints: Iterable[str]) -> bool:
    key = _parse(line)
    return key is not None and key.fingerprint in fingerprints
