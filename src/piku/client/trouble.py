"""What ssh's words mean, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from piku.client.address import Address

# What ssh says although nothing is wrong: always, and before it goes on or with -v.
_CHATTER = re.compile(r"(Shared c|C)onnection to \S+ closed\.")
_NOTES = re.compile(
    r"Warning: |\*\* |@|Pseudo-terminal will not|OpenSSH_|Authenticated to |Transferred: |Bytes per "
)


def lines(text: str) -> list[str]:
    """What is worth to be told of all that ssh said."""
    found = (line.rstrip() for line in text.splitlines())
    return [line for line in found if line and not _CHATTER.fullmatch(line)]


def explain(address: Address, said: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong, and what to do; None when ssh complained of nothing."""
    said = [line for line in said if not re.match(r"debug\d: ", line)]
    text = "\n".join(said)
    place = address.host + (f" port {address.port}" if address.port else "")
    login = f"ssh {f'-p {address.port} ' if address.port else ''}{address.destination}"
    known = f"[{address.host}]:{address.port}" if address.port else address.host
    rows = (
        ("Could not resolve hostname",
         f"no server is known by the name {address.host!r}",
         "is it spelled as in `git remote -v`, and is this machine online?"),
        ("Connection refused",
         f"{place} is there, but takes no SSH connections",
         "is sshd running there, and is the port right?"),
        ("timed out|No route to host|Network is unreachable|Host is down",
         f"{place} cannot be reached",
         "is it switched on and online, and this machine too?"),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed",
         f"{place} shows another key than before: either it was installed anew, or this is not your server",
         f"if you know that it was installed anew: ssh-keygen -R '{known}'"),
        ("Host key verification failed|No .* host key is known",
         f"{place} is not known here yet, and nobody could be asked whether it is the right one",
         f"connect once in a terminal, and compare its fingerprint: {login}"),
        ("Permission denied|Too many authentication failures|No supported authentication",
         f"{place} lets none of your keys in as {address.user or 'this user'}",
         "have your public key let in there: piku setup:ssh KEY.pub --name NAME"
         f"\nwhich keys ssh offers says: {login.replace('ssh', 'ssh -v', 1)}"),
        ("Connection closed|Connection reset|kex_exchange|Broken pipe|not responding|closed by remote",
         f"the connection to {place} was lost",
         "try again; a deploy that had begun goes on by itself"),
    )  # fmt: skip
    for pattern, message, hint in rows:
        if re.search(pattern, text):
            return message, hint
    own = [line for line in said if not _NOTES.match(line)]
    return (
        (
            f"ssh: {own[-1].removeprefix('ssh: ')}",
            f"more of it says: {login.replace('ssh', 'ssh -v', 1)}",
        )
        if own
        else None
    )
