"""Checks of single settings: text to value, or ValueError that says what is wrong.

Unless a setting needs one, empty text is no value. What a check takes is said in the reference: as
its `str`, or for a function as the beginning of its docstring, up to the first colon or full stop.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

_ADDRESS = re.compile(r"([^/]+)((?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,60}){0,8})/?")
_LABEL = re.compile(r"(?![_-]*$)(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PATH = r"[\w./ @+=,~-]{1,250}"
_URL = re.compile(r"/[\w./+~@-]{0,500}")
# Beginnings of piku's own addresses: challenges of certificate authorities, and internal ones.
_RESERVED = ("/.well-known/acme-challenge/", "/@piku-", "/@before-")


def quoted(text: str) -> str:
    """A text as an error shows it: in quotes, on one line, and not all of a very long one."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


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


@dataclass(frozen=True)
class form:
    """Text that matches a pattern, or empty; `what` names it, with its article."""

    pattern: str
    what: str

    def __call__(self, text: str) -> str:
        if text and not re.fullmatch(self.pattern, text):
            raise ValueError(f"not {self}")
        return text

    def __str__(self) -> str:
        return self.what


def choice(*words: str) -> form:
    return form("|".join(words), f"one of {', '.join(words)}")


url_path = form(r"/[!#-~]*", "a path that begins with '/'")
absolute_path = form(rf"/(?!(.*/)?\.\.(/|$)){_PATH}", "an absolute path")
email = form(r"[\w.+-]{1,64}@[\w.-]{1,200}", "an e-mail address")
branch = form(r"(?!.*\.\.)[A-Za-z0-9_][\w./@+-]*(?<!\.lock)(?<!/)", "a branch name")
python_version = form(r"[23](\.[0-9]{1,2})?", "a Python version such as 3 or 3.11")
node_version = form(
    r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,2}", "a Node.js version such as 20, 20.11 or 20.11.1"
)
http_url = form(r"https?://[\w.\[\]:-]+/[\w./?=&%-]*", "an address that begins with https://")


def boolean(text: str) -> bool:
    """true or false."""
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError("not true or false")


def port(text: str) -> int | None:
    """A port of 1024 or above: one that needs no privileges."""
    return whole(1024, 65535)(text) if text else None


def host_names(text: str) -> tuple[str, ...]:
    """One or more host names: in lower case, in their order, each once; `*.` may come first."""
    names = [name.lower().rstrip(".") for name in parts(text.replace(" ", ","))]
    for name in names:
        labels = name.removeprefix("*.").split(".")
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            other = "" if name.isascii() else ": write it in ASCII, as xn--…"
            raise ValueError(f"{quoted(name)} is not a host name{other}")
    return tuple(dict.fromkeys(names))


def addresses(text: str) -> tuple[str, ...]:
    """One or more host names: in lower case; `*.` may come first, and a path follow: a.org/blog."""
    names = []
    for part in parts(text.replace(" ", ",")):
        found = _ADDRESS.fullmatch(part)
        host, path = found.groups() if found else (part, "")
        names += [name + path for name in host_names(host)]
    return tuple(dict.fromkeys(names))


def ipv4(text: str) -> str:
    """An IPv4 address."""
    return _address(text, 4)


def ipv6(text: str) -> str:
    """An IPv6 address."""
    return _address(text.removeprefix("[").removesuffix("]"), 6)


def _address(text: str, version: int) -> str:
    try:
        found = ipaddress.ip_address(text) if text else None
    except ValueError:
        found = None
    # Python accepts a zone, with anything in it; nginx knows none.
    if text and (found is None or found.version != version or "%" in text):
        raise ValueError(f"{quoted(text)} is not an IPv{version} address")
    return str(found or "")


def inner_path(text: str) -> str:
    """A path in the repository: below the app's folder."""
    if not text:
        return ""
    normal = "/".join(part for part in text.split("/") if part not in ("", "."))
    if text.startswith("/") or ".." in text.split("/") or normal.split("/")[0] == ".git":
        raise ValueError(f"{quoted(text)} is outside the app's folder")
    if not re.fullmatch(_PATH, text):
        raise ValueError(f"{quoted(text)} is too long, or not supported in a path")
    if not normal:
        raise ValueError("the app's whole folder cannot be named here")
    return normal


def words(text: str) -> tuple[str, ...]:
    """Words, quoted as in a shell."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ValueError("a quote is not closed") from None


# --- for nginx -----------------------------------------------------------------------------------


def url(text: str) -> str:
    """A path of an address: such as /docs."""
    if not text:
        return ""
    if not _URL.fullmatch(text) or "//" in text or {".", ".."} & set(text.split("/")):
        raise ValueError(f"{quoted(text)} is not a path of an address, such as /docs")
    if f"{text}/".startswith(_RESERVED):
        raise ValueError(f"{quoted(text)} is used by piku itself")
    return text


def static_paths(text: str) -> tuple[tuple[str, str], ...]:
    """One or more `/prefix:path`: a prefix without a slash at its end, or "/"; a file or folder."""
    pairs = []
    for part in parts(text):
        prefix, colon, path = part.partition(":")
        if not colon or not prefix or not path:
            raise ValueError(f"{quoted(part)} is not of the form /prefix:path")
        pairs.append((url("/" + prefix.strip("/")), file_path(path)))
    refuse_twice(prefix for prefix, _ in pairs)
    return tuple(pairs)


def file_path(text: str) -> str:
    """A path: relative to the app's folder, or absolute; links are followed when it is used."""
    if not text.startswith("/"):
        return "." if text in (".", "./") else inner_path(text)
    return "/" + inner_path(text.lstrip("/"))


def parts(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def refuse_twice(items: Iterable[str]) -> None:
    """Raise ValueError when an item is not the only one of its kind."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise ValueError(f"{quoted(item)} is there twice")
        seen.add(item)
