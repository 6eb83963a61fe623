"""How a log on disk tells when a line was written, and by which release.

uWSGI puts a stamp in front of whatever it reads from a daemon at once: be it many lines, a part of one,
or bytes that are no text. Stamps are control sequences that no terminal shows (an OSC of a number that
nobody uses); without them, what is left is what the program wrote. Of a process that uWSGI serves itself
the log stays as the specification has it, and its access lines tell the time.

Whoever sends a request can have much of this written into a log as well, so a mark counts only where we put
it, and a time is never more than a claim: whoever reads a log compares it with those around it.
"""

from __future__ import annotations

import functools
import mmap
import re
import time
from datetime import datetime
from typing import NamedTuple

# In uWSGI's words, "Log encoders" of its documentation; it reads at most 8192 bytes at once.
ENCODER = "format \x1b]7331;${millis}\x07${msgnl}"
READ_AT_ONCE = 8192

# The names of logs: a process's, and two that belong to none, for what nginx notes of the requests that
# it hands on, and what is said of receivers of the log (in expressions: NAME@ACTIVATION.log).
PROCESS = r"[\w-]+\.[0-9]+"
NGINX, DRAIN = "nginx", "drain"

# What uWSGI serves itself: their logs hold no stamps of ours, and whatever looks like one is the app's.
SERVED = ("wsgi", "rwsgi", "jwsgi", "php")
BUILD = "build"  # the transcripts of deploys

_MARK = b"\x1b]7331;"
_STAMP = re.compile(rb"\x1b\]7331;([0-9]{13})\x07")
# In front of what one activation wrote: its release, its number, when it was last written to, how long it is.
_HEAD = re.compile(rb"\x1b\]7331;v([0-9]{1,9});([0-9]{1,9});([0-9]{13});([0-9]{1,15})\x07")
_LONGEST_HEAD = 64
_ANY = re.compile(rb"\x1b\]7331;(?:[0-9]{13}|v[0-9;]{1,50})\x07")
# What a terminal would obey, with the colours and the end of a DOS line, which may stay.
_COMMAND = re.compile("(\x1b\\[[0-9;:]{0,60}m|\r\\Z)|[\x00-\x08\x0a-\x1f\x7f-\x9f\udc80-\udc9f]")
# What uWSGI writes as the last line of a file that it moves away; the program's own may be cut by it.
_ROTATION = re.compile(
    rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4} - logsize: [0-9]+,"
    rb" triggering rotation to [^\n]+\.\.\.\n?\Z"
)
_ACCESS = re.compile(
    rb'[^\n"]{1,1000}? - [^\n"\[\]]{1,200} \[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4})\] "'
)
_ASKED = re.compile(
    rb' - [^\n"\[\]]{1,200} \[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4})\] "'
)
# uWSGI of itself: the first line of a start, and some of what it does later.
_START = re.compile(rb"\*\*\* Starting uWSGI [^\n\[]{1,100} on \[")
_OWN = re.compile(
    rb"(?:\*\*\* Starting uWSGI [^\n\[]{1,100} on \[)?"
    rb"([A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4})(?: - |\] \*\*\*)"
)
_TOOK = re.compile(rb" ([0-9]{1,9})ms\Z")
# Piku's own: a line of a deploy, and what is said of receivers of the log.
_DEPLOYED = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) ")
_REMARKED = re.compile(
    rb"-----> ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) ([A-Z]{2,5}|[+-][0-9]{2,4}) "
)


class Told(NamedTuple):
    """A line: what the program wrote, when that was, and from when on what follows was written.

    Both times are claims, in seconds of the epoch; None where there is none.
    """

    text: bytes
    when: float | None
    then: float | None = None


def worker_of(name: str) -> str:
    """The process that writes a log of this name."""
    return re.split(r"@|\.log", name, maxsplit=1)[0]


@functools.lru_cache(maxsize=64)
def is_stamped(worker: str) -> bool:
    """Whether this process's log has stamps: those of daemons, scheduled jobs and detached runs."""
    kind = worker.rpartition(".")[0]
    return bool(kind) and kind not in SERVED


def told(worker: str, raw: bytes) -> Told:
    """What a line of a process's log says."""
    if not is_stamped(worker) or _MARK not in raw:
        return Told(raw, said_time(worker, raw))
    first = _STAMP.match(raw)
    if first is not None and _MARK not in (
        text := raw[first.end() :]
    ):  # most lines: this has to be quick
        when = int(first[1]) / 1000
        return Told(text, when, when)
    found = stamps(raw)
    return Told(plain(raw), found[0] if first else None, found[-1] if found else None)


def is_start(raw: bytes) -> bool:
    """Whether this is the first line that uWSGI writes."""
    return _START.match(plain(raw)) is not None


def harmless(text: str) -> str:
    """A line as a terminal may get it: colours are left, all else that it would obey is spelled out."""
    return _COMMAND.sub(lambda found: found[1] or f"\\x{ord(found[0]) & 0xFF:02x}", text)


def harmless_bytes(text: bytes) -> bytes:
    """The same of bytes, which may be no text."""
    return harmless(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")


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
    found = _ROTATION.search(raw) if b"triggering rotation to" in raw else None
    return raw[: found.start()] if found else None


def access_time(text: bytes, *, at_end: bool) -> float | None:
    """When a request ended, as its access line says; None when this is no such line.

    A line of uWSGI has the time at which the request began, one of nginx that of its `at_end`. The client may
    have sent more of the kind, in place of its address or after it: the latest that is not to come is taken.
    """
    if _ACCESS.match(text) is None:
        return None
    dates = [_epoch(found.decode(), "%d/%b/%Y:%H:%M:%S %z") for found in _ASKED.findall(text)]
    latest = time.time() + 1 if len(dates) > 1 else float("inf")
    began = max((date for date in dates if date is not None and date <= latest), default=None)
    took = None if at_end else _TOOK.search(text)
    return None if began is None else began + (int(took[1]) / 1000 if took else 0)


def said_time(worker: str, text: bytes) -> float | None:
    """When a line without a stamp was written, as those say it who write such a log besides the app."""
    if worker == BUILD:
        found = _DEPLOYED.match(text)
        return _epoch(found[1].decode(), "%Y-%m-%d %H:%M:%S") if found else None
    if worker == DRAIN:
        return _remarked(text)
    asked = None if is_stamped(worker) else access_time(text, at_end=worker == NGINX)
    if asked is not None:
        return asked
    found = _OWN.match(text)
    return _epoch(found[1].decode(), "%a %b %d %H:%M:%S %Y") if found else None


def _remarked(text: bytes) -> float | None:
    found = _REMARKED.match(text)
    if found is None:
        return None
    zone = found[2].decode()
    if zone == "UTC":
        return _epoch(f"{found[1].decode()} +0000", "%Y-%m-%d %H:%M:%S %z")
    return _epoch(found[1].decode(), "%Y-%m-%d %H:%M:%S") if zone in time.tzname else None


@functools.lru_cache(maxsize=16)
def _epoch(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).timestamp()
    except (ValueError, OverflowError):
        return None


# --- releases, in a log that holds what several of them wrote -------------------------------------


class Section(NamedTuple):
    """What one activation wrote in such a log: from where to where, and when it last did."""

    activation: int
    written: float
    start: int
    end: int


def sections(content: bytes | mmap.mmap) -> list[tuple[Section, int]]:
    """What each activation wrote, with its release, rising; nothing for a log that we have not written.

    Each head says where the next one is. Nothing else is looked at: a program can write what looks like one.
    """
    found: list[tuple[Section, int]] = []
    place = 0
    while head := _HEAD.match(content[place : place + _LONGEST_HEAD]):
        start = place + head.end()
        place = start + int(head[4])
        found.append((Section(int(head[2]), int(head[3]) / 1000, start, place), int(head[1])))
    return found if place == len(content) else []


def section_head(section: Section, release: int) -> bytes:
    """What stands in front of a section."""
    length = section.end - section.start
    return f"\x1b]7331;v{release};{section.activation};{int(section.written * 1000):013d};{length}\x07".encode()
