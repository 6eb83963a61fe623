"""Certificates and keys as PEM: what they say, whether they belong together, and in which order.

openssl is asked; nothing of a certificate is parsed here but its words.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass

from piku import subprocesses
from piku.errors import PikuError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?\n-----END \1-----", re.DOTALL)
_PART = re.compile(r"(CN|O)=((?:\\.|[^,+])*)")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a certificate says of itself. Times are seconds of the epoch."""

    names: tuple[str, ...]
    subject: str
    issuer: str
    not_before: int
    not_after: int

    @property
    def self_signed(self) -> bool:
        return self.issuer == self.subject

    @property
    def issued_by(self) -> str:
        """The issuer in words, such as "R11, Let's Encrypt"."""
        parts = dict(_PART.findall(self.issuer))
        words = [re.sub(r"\\(.)", r"\1", parts[name]) for name in ("CN", "O") if name in parts]
        return ", ".join(words) or self.issuer


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A certificate with its chain and its key, checked and in order: `text` is what nginx reads."""

    text: str
    facts: Facts
    complete: bool  # whether whoever issued it is in the chain


def bundle(certificates: str, keys: str) -> Bundle:
    """Make a bundle of PEM texts that may hold one another's blocks and more than is needed, in any order.

    Raises PikuError when there is not one key, no certificate for it, one that does not belong to
    its chain, or when it is not valid now.
    """
    certs, key = _blocks(certificates, "CERTIFICATE"), _key(certificates, keys)
    if not certs:
        raise PikuError(
            "what was given as certificate has none in it",
            hint="it begins with -----BEGIN CERTIFICATE-----",
        )
    wanted = _public(["pkey", "-pubout", "-passin", "pass:"], key, "the key")
    known = {text: facts(text) for text in dict.fromkeys(certs)}
    leaf = next(
        (text for text in known if _public(["x509", "-noout", "-pubkey"], text, "") == wanted), None
    )
    if leaf is None:
        raise PikuError(
            "the key does not belong to the certificate", hint="give the key it was made with"
        )
    _refuse_invalid(known[leaf])
    chain = _chain(leaf, known)
    text = "".join(f"{block}\n" for block in (*chain, key))
    last = known[chain[-1]]
    return Bundle(text=text, facts=known[leaf], complete=len(chain) > 1 or last.self_signed)


def facts(certificate: str) -> Facts:
    """What one certificate says; raises PikuError when openssl cannot read it."""
    asked = [
        "-noout",
        "-subject",
        "-issuer",
        "-dates",
        "-ext",
        "subjectAltName",
        "-nameopt",
        "RFC2253",
    ]
    try:
        said = subprocesses.run(["openssl", "x509", *asked], stdin=certificate)
    except subprocesses.ProgramFailed:
        raise PikuError(
            "the certificate cannot be read", hint="it is not PEM, or damaged"
        ) from None
    lines = dict(line.split("=", 1) for line in said.splitlines() if re.match(r"[a-zA-Z]+=", line))
    found = re.findall(
        r"(DNS|IP Address):([^,\s]+)", said.partition("Subject Alternative Name:")[2]
    )
    return Facts(
        names=tuple(dict.fromkeys(_name(kind, text) for kind, text in found)),
        subject=lines["subject"],
        issuer=lines["issuer"],
        not_before=int(ssl.cert_time_to_seconds(lines["notBefore"])),
        not_after=int(ssl.cert_time_to_seconds(lines["notAfter"])),
    )


def _name(kind: str, text: str) -> str:
    if kind == "IP Address":
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(text))
    return text.lower()


def _blocks(text: str, kind: str) -> list[str]:
    plain = text.replace("\r\n", "\n")
    return [found[0] for found in _BLOCK.finditer(plain) if found[1].endswith(kind)]


def _key(*texts: str) -> str:
    found = list(dict.fromkeys(block for text in texts for block in _blocks(text, "PRIVATE KEY")))
    if len(found) != 1:
        what = "none" if not found else f"{len(found)} of them"
        raise PikuError(
            f"what was given as key has {what} in it",
            hint="a key begins with -----BEGIN PRIVATE KEY-----",
        )
    return found[0]


def _public(argv: Iterable[str], text: str, what: str) -> str:
    """The public key of a key or certificate; raises PikuError that says `what` cannot be read."""
    try:
        return subprocesses.run(["openssl", *argv], stdin=f"{text}\n")
    except subprocesses.ProgramFailed:
        raise PikuError(
            f"{what} cannot be read", hint="it must be a private key in PEM without a passphrase"
        ) from None


def _refuse_invalid(found: Facts) -> None:
    now = time.time()
    for late, what, when in (
        (found.not_after <= now, "expired", found.not_after),
        (found.not_before > now + 86400, "is only valid from", found.not_before),
    ):
        if late:
            day = time.strftime("%Y-%m-%d", time.gmtime(when))
            link = " on " if what == "expired" else " "
            raise PikuError(f"the certificate {what}{link}{day}", hint="give one that is valid")


def _chain(leaf: str, known: dict[str, Facts]) -> list[str]:
    """The certificates from the leaf upwards, each issued by the next one."""
    chain = [leaf]
    left = [text for text in known if text != leaf]
    while not known[chain[-1]].self_signed:
        upper = next(
            (text for text in left if known[text].subject == known[chain[-1]].issuer), None
        )
        if upper is None:
            break
        chain.append(upper)
        left.remove(upper)
    if left:
        stranger = known[left[0]]
        raise PikuError(
            f"a certificate in it does not belong to the chain: {stranger.subject}",
            hint="give the certificate and those that lead to its authority, and nothing else",
        )
    return chain
