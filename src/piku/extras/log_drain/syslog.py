"""What a receiver of log lines gets: syslog messages (RFC 5424), or lines of JSON. Pure."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence

from piku.extras.log_drain.setting import JSON, LOGPLEX, UDP

# The facility "user", the severity "informational": a program's output has neither.
_PRIORITY = 14
# In bytes. Receivers need not take more of a datagram (RFC 5426, section 3.2), and rsyslog takes 8 kB.
_LONGEST = {UDP: 1800}
_LONGEST_ELSEWHERE = 8000
_HEAD = 280  # of a message at most, so that line and head together stay below those
_NOT_PRINTABLE = re.compile(r"[^!-~]")


def encode(
    kind: str, host: str, app: str, process: str, when: float, text: bytes
) -> Iterator[bytes]:
    """The messages for one line of a log; a very long one takes several."""
    for piece in _pieces(text, _LONGEST.get(kind, _LONGEST_ELSEWHERE) - _HEAD):
        if kind == JSON:
            yield _json(host, app, process, when, piece)
        else:
            # As Heroku's: there the structured data are left out altogether, not said to be none.
            rest = "-" if kind == LOGPLEX else "- -"
            head = f"<{_PRIORITY}>1 {_time(when)} {_word(host, 64)} {_word(app, 48)} {_word(process, 128)} {rest} "
            yield head.encode() + piece


def _pieces(text: bytes, longest: int) -> Iterator[bytes]:
    while len(text) > longest:
        cut = longest
        while cut > longest - 3 and text[cut] & 0xC0 == 0x80:  # within a character of UTF-8
            cut -= 1
        yield text[:cut]
        text = text[cut:]
    yield text


def _time(when: float) -> str:
    seconds, milliseconds = divmod(round(when * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def _word(text: str, longest: int) -> str:
    return _NOT_PRINTABLE.sub("_", text)[:longest] or "-"


def _json(host: str, app: str, process: str, when: float, text: bytes) -> bytes:
    said = text.decode(errors="replace")
    line = {"time": _time(when), "host": host, "app": app, "process": process, "message": said}
    return json.dumps(line, ensure_ascii=False).encode()


def framed(messages: Sequence[bytes]) -> bytes:
    """Messages one after the other, each with its length in front (RFC 6587, section 3.4.1)."""
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def body(kind: str, messages: Sequence[bytes]) -> bytes:
    """What is posted over HTTP."""
    return b"".join(message + b"\n" for message in messages) if kind == JSON else framed(messages)


def headers(kind: str, messages: Sequence[bytes], token: str, frame: str) -> dict[str, str]:
    """The headers that go with it: Heroku's, which receivers of its logs look for."""
    if kind == JSON:
        return {"Content-Type": "application/x-ndjson"}
    return {
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": str(len(messages)),
        "Logplex-Frame-Id": frame,
        "Logplex-Drain-Token": token,
    }
