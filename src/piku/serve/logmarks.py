"""How a log on disk tells when a line was written, and by which release.

uWSGI puts a stamp in front of whatever it reads from a daemon at once: be it many lines, a part of one,
or bytes that are no text. Stamps are control sequences that no terminal shows (an OSC of a number that
nobody uses); without them, what is left is what the program wrote. Of a process that uWSGI serves itself
the log stays as the specification has it, and its access lines tell the time.
"""

from __future__ import annotations

import functools
import mmap
import re
import time
from datetime import datetime

# In uWSGI's words, "Log encoders" of its documentation; it reads at most 8192 bytes at once.
ENCODER = "format \x1b]7331;${millis}\x07${msgnl}"
READ_AT_ONCE = 8192

# The names of logs: a process's, and two that belong to none, for what nginx notes of the requests that
# it hands on, and what is said of receivers of the log (in expressions: NAME@ACTIVATION.log).
PROCESS = r"[\w-]+\.[0-9]+"
NGINX, DRAIN = "nginx", "drain"

_STAMP = re.compile(rb"\x1b\]7331;([0-9]{13})\x07")
_SECTION = re.compile(rb"\x1b\]7331;v([0-9]{1,9})\x07")
_ANY = re.compile(rb"\x1b\]7331;(?:[0-9]{13}|v[0-9]{1,9})\x07")
# What uWSGI writes as the last line of a file that it moves away; the program's own may be cut by it.
_ROTATION = re.compile(
    rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4} - logsize: [0-9]+,"
    rb" triggering rotation to [^\n]+\.\.\.\n?\Z"
)
_ACCESS = re.compile(
    rb'[^\n"]{1,1000}? - [^\n"\[\]]{1,200} \[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4})\] "'
)
# uWSGI of itself: the first line of a start, and some of what it does later.
_OWN = re.compile(
    rb"(?:\*\*\* Starting uWSGI [^\n\[]{1,100} on \[)?"
    rb"([A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4})(?: - |\] \*\*\*)"
)
_TOOK = re.compile(rb" ([0-9]{1,9})ms\Z")
# Piku's own: a line of a deploy, or the mark at which a scheduled job begins or ends.
_DATE = re.compile(
    rb"(?:-----> )?([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) (?:([A-Z]{2,5}|[+-][0-9]{2,4}) )?"
)


def stamps(raw: bytes) -> list[float]:
    """The times that a line was stamped with, in seconds of the epoch."""
    return [int(stamp) / 1000 for stamp in _STAMP.findall(raw)]


def stamped(text: str, when: float) -> str:
    """A line of ours, for the log of a daemon."""
    return f"\x1b]7331;{int(when * 1000):013d}\x07{text}\n"


def plain(raw: bytes) -> bytes:
    """What the program wrote, without marks."""
    return _ANY.sub(b"", raw)


def plain_text(text: str) -> str:
    """The same of text that was read with `surrogateescape`."""
    return plain(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def before_rotation(raw: bytes) -> bytes | None:
    """What a line holds in front of uWSGI's remark that it moves the file away; None without one."""
    found = _ROTATION.search(raw)
    return raw[: found.start()] if found else None


def access_time(text: bytes, *, at_end: bool) -> float | None:
    """When a request ended, as its access line says; None when this is no such line.

    A line of uWSGI has the time at which the request began, one of nginx that of its `at_end`.
    """
    found = _ACCESS.match(text)
    if found is None:
        return None
    took = None if at_end else _TOOK.search(text)
    began = _epoch(found[1].decode(), "%d/%b/%Y:%H:%M:%S %z")
    return None if began is None else began + (int(took[1]) / 1000 if took else 0)


def said_time(text: bytes, *, at_end: bool) -> float | None:
    """When a line was written, as it says itself: an access line, one of piku's, uWSGI of itself."""
    asked = access_time(text, at_end=at_end)
    if asked is not None:
        return asked
    found = _OWN.match(text)
    if found is not None:
        return _epoch(found[1].decode(), "%a %b %d %H:%M:%S %Y")
    found = _DATE.match(text) if text.startswith(b"-----> ") or text[:1].isdigit() else None
    if found is None:
        return None
    # A job's time may be that of a zone of its own: its name does not tell enough.
    zone = found[2].decode() if found[2] and text.startswith(b"-") else ""
    if zone == "UTC":
        return _epoch(f"{found[1].decode()} +0000", "%Y-%m-%d %H:%M:%S %z")
    return _epoch(found[1].decode(), "%Y-%m-%d %H:%M:%S") if zone in ("", *time.tzname) else None


@functools.lru_cache(maxsize=16)
def _epoch(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).timestamp()
    except (ValueError, OverflowError):
        return None


# --- releases, in a log that holds what several of them wrote -------------------------------------


def sections(content: bytes | mmap.mmap) -> list[tuple[int, int]]:
    """Where what a release wrote begins, and its number, rising; what is before the first is anybody's."""
    return [(found.start(), int(found[1])) for found in _SECTION.finditer(content)]


def folded(old: str, text: str, release: int, limit: int) -> str:
    """The past log `old` with what the process of a release wrote at its end, cut to about `limit`.

    An `old` without a section comes from uWSGI, which moved there what the same process wrote before.
    """
    own = f"\x1b]7331;v{release}\x07"
    found = _sections(old)
    if not found:
        joined = own + old + text
    elif found[-1][1] == release:
        joined = old + text
    else:
        joined = old + ("" if old.endswith("\n") else "\n") + own + text
    if len(joined) <= limit:
        return joined
    cut = joined.find("\n", len(joined) - limit) + 1 or len(joined) - limit
    kept = [number for start, number in _sections(joined) if start <= cut]
    return (f"\x1b]7331;v{kept[-1]}\x07" if kept else "") + joined[cut:]


def _sections(text: str) -> list[tuple[int, int]]:
    return [(m.start(), int(m[1])) for m in re.finditer("\x1b\\]7331;v([0-9]{1,9})\x07", text)]
