"""The SSH keys that may use this server (specification, "SSH Key Setup")."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from piku import files, locks, subprocesses
from piku.errors import PikuError
from piku.paths import Paths

_OPTIONS = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"
# A line of authorized_keys (sshd(8)); in a quoted option, only \" is an escape.
ENTRY = re.compile(
    r'(?:(?P<options>(?:[^\s"]|"(?:\\"|[^"])*")+)\s+)?'
    r"(?P<type>(?:ssh|ecdsa|sk)-[\w@.-]+)\s+(?P<blob>[A-Za-z0-9+/]+=*)(?:\s+(?P<comment>.*))?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def authorized_keys(paths: Paths) -> Path:
    return paths.home / ".ssh" / "authorized_keys"


def add(
    paths: Paths, text: str, name: str, command: list[str], env: dict[str, str], limits: str = ""
) -> str:
    """Add a public key, bound to piku and by `limits` (options of sshd(8), each with a comma), and
    return its fingerprint; raises PikuError if it is none, or known already."""
    if not _NAME.fullmatch(name):
        raise PikuError(
            f"{name[:80]!r} is not a name for a key",
            hint="use letters, digits, '.', '_', '@' and '-'",
        )
    public = _public(text)
    line = " ".join(filter(None, (public["type"], public["blob"], public["comment"])))
    fingerprint = _fingerprint(line)
    variables = {"FINGERPRINT": fingerprint, "NAME": name, **env}
    assignments = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    # In quotes, the login shell neither splits nor expands what the client sent. Piku reads it
    # from the environment, and parses it itself.
    forced = f'{assignments} {shlex.join(command)} "$SSH_ORIGINAL_COMMAND"'.replace('"', '\\"')
    with changing(paths) as lines:
        # sshd uses the first entry of a key.
        if any(public["blob"] in line.split() and line[:1] != "#" for line in lines):
            raise PikuError(
                "this key can already log in here",
                hint="give another key, made for piku with ssh-keygen, or first remove that one:"
                f" piku keys:remove {fingerprint}, or its line in {authorized_keys(paths)}",
            )
        lines.append(f'{limits}command="{forced}",{_OPTIONS} {line}')
    return fingerprint


def _public(text: str) -> re.Match[str]:
    """The one public key in a text, which may have comments and blank lines around it."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    match = ENTRY.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None or match["options"]:
        raise PikuError(
            "this is not one SSH public key",
            hint="give one line such as 'ssh-ed25519 AAAA… name', without options: a .pub file",
        )
    if "-cert-" in match["type"]:
        hint = "give the key that it was made for: the .pub file without '-cert' in its name"
        raise PikuError("this is a certificate, with which alone nobody can log in", hint=hint)
    return match


def _fingerprint(line: str) -> str:
    command = ["ssh-keygen", "-l", "-E", "sha256", "-f", "-"]
    try:
        return subprocesses.run(command, stdin=f"{line}\n").split()[1]
    except subprocesses.ProgramFailed:
        raise PikuError(
            "ssh-keygen does not accept this key", hint="copy it again, whole and on one line"
        ) from None


@contextlib.contextmanager
def changing(paths: Paths) -> Iterator[list[str]]:
    """The lines of authorized_keys, written back as the block leaves them."""
    place = authorized_keys(paths)
    with locks.lock(place.with_suffix(".lock"), "changing keys"):
        text = files.read(place)
        lines = text.removesuffix("\n").split("\n") if text else []
        yield lines
        place.parent.chmod(0o700)
        files.write(place, "".join(f"{line}\n" for line in lines), mode=0o600, durable=True)
