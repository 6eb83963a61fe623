"""Checks of single settings: text to value, or ValueError with what is wrong."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

_LABEL = re.compile(r"(?![_-]*$)(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PATH = re.compile(r"[\w./ @+=,~-]+")
# In bytes: what every file system takes for a name, and what nginx takes for a path with the root before it.
_LONGEST_NAME, _LONGEST_PATH = 255, 1000
_SHOWN = 60


def shown(text: str) -> str:
    """A text as an error shows it: in quotes, on one line, and not all of a very long one."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError("not true or false")


@dataclass(frozen=True)
class whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,15}", text) or not self.least <= int(text) <= self.most:
            raise ValueError(f"not {self}")
        return int(text)

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


class choice:
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"not {self}")
        return text

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


def port(text: str) -> int | None:
    """A port that an unprivileged program can listen on; none when empty."""
    return whole(1024, 65535)(text) if text else None


def host_names(text: str) -> tuple[str, ...]:
    """Host names in lower case, in their order, each once; `*.` may stand in front."""
    names = [
        name.strip().lower().rstrip(".")
        for name in text.replace(" ", ",").split(",")
        if name.strip()
    ]
    for name in names:
        labels = name.removeprefix("*.").split(".")
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise ValueError(f"{shown(name)} is not a host name{_as_ascii(name)}")
    return tuple(dict.fromkeys(names))


def _as_ascii(name: str) -> str:
    """How a name in another script is written, if that is what is wrong with it."""
    try:
        written = name.encode("idna").decode()
    except UnicodeError:
        return ""
    labels = written.removeprefix("*.").split(".")
    fits = len(written) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return f": write it as {written}" if written != name and fits else ""


def ipv4(text: str) -> str:
    return _address(text, ipaddress.IPv4Address, "IPv4")


def ipv6(text: str) -> str:
    if "%" in text:  # Python accepts a zone, with anything in it; nginx knows none
        raise ValueError(f"{shown(text)} has a zone, which is not supported")
    return _address(text.removeprefix("[").removesuffix("]"), ipaddress.IPv6Address, "IPv6")


def _address(text: str, kind: Callable[[str], object], name: str) -> str:
    if not text:
        return ""
    try:
        return str(kind(text))
    except ValueError:
        raise ValueError(f"{shown(text)} is not an {name} address") from None


def inner_path(text: str) -> str:
    """A path within the app's folder; empty for none."""
    if not text:
        return ""
    normal = "/".join(part for part in text.split("/") if part not in ("", "."))
    if text.startswith("/") or ".." in text.split("/") or normal.split("/")[0] == ".git":
        raise ValueError(f"{shown(text)} is outside the app's folder")
    if not _PATH.fullmatch(text):
        raise ValueError(f"{shown(text)} has characters that are not supported in a path")
    if len(text.encode()) > _LONGEST_PATH or any(
        len(p.encode()) > _LONGEST_NAME for p in text.split("/")
    ):
        raise ValueError(f"{shown(text)} is too long for a path")
    if not normal:
        raise ValueError("the app's whole folder cannot be named here")
    return normal


def inner_paths(text: str) -> tuple[str, ...]:
    paths = tuple(
        dict.fromkeys(inner_path(part.strip()) for part in text.split(",") if part.strip())
    )
    for path in paths:
        if any(path != other and path.startswith(f"{other}/") for other in paths):
            raise ValueError(f"{shown(path)} is already part of another of these paths")
    return paths


def url_path(text: str) -> str:
    if text and not re.fullmatch(r"/[!#-~]*", text):
        raise ValueError("not a path that begins with '/'")
    return text


def python_version(text: str) -> str:
    if not re.fullmatch(r"[23](\.[0-9]{1,2})?", text):
        raise ValueError("not a Python version such as 3 or 3.11")
    return text


def node_version(text: str) -> str:
    if not re.fullmatch(r"(v?[0-9]{1,3}(\.[0-9]{1,3}){0,2})?", text):
        raise ValueError("not a Node.js version such as 20, 20.11 or 20.11.1")
    return text.removeprefix("v")


def words(text: str) -> tuple[str, ...]:
    """A program's name and options, quoted as in a shell."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ValueError("a quote is not closed") from None


def branch(text: str) -> str:
    if text and (
        not re.fullmatch(r"[A-Za-z0-9_][\w./@+-]*", text)
        or ".." in text
        or text.endswith((".lock", "/"))
    ):
        raise ValueError("not a branch name")
    return text.removeprefix("refs/heads/")


def absolute_path(text: str) -> str:
    if text and (not text.startswith("/") or ".." in text.split("/") or not _PATH.fullmatch(text)):
        raise ValueError("not an absolute path")
    return text


def authority(text: str) -> str:
    """A certificate authority: a name, or the address of its directory (RFC 8555, section 7.1.1)."""
    if not re.fullmatch(r"[\w.-]{1,100}|https://[\w.\[\]:-]+/[\w./-]*", text):
        raise ValueError("neither an authority's name nor an https address")
    return text


def email(text: str) -> str:
    if text and not re.fullmatch(r"[\w.+-]{1,64}@[\w.-]{1,200}", text):
        raise ValueError("not an e-mail address")
    return text


def program_name(text: str) -> str:
    if text and not re.fullmatch(r"[a-z][a-z0-9_-]{0,60}", text):
        raise ValueError("not a name such as dns_cf or cloudflare")
    return text
