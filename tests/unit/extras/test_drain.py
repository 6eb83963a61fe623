"""Shipping of logs: addresses, messages, and what becomes of those that nobody takes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import files
from piku.deploy import releases
from piku.deploy.releases import Live, Process
from piku.extras.log_drain import setting, shipping, syslog
from piku.extras.log_drain.senders import Sender
from piku.extras.log_drain.shipper import Shipper
from piku.operate import log_timestamps
from piku.operate.tail import Tail
from piku.paths import AppPaths, Paths
from tests.processes.receivers import MESSAGE, Tcp, closing, frames

WHEN = 1700000000.123


def until(condition: Callable[[], object]) -> None:
    for _ in files.poll(time.monotonic() + 10):
        if condition():
            return
    pytest.fail("it never came true")


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "host", "port", "path", "user"),
    [
        ("syslog://logs.example", setting.UDP, "logs.example", 514, "", ""),
        ("SYSLOG+TCP://Logs.Example:99/", setting.TCP, "logs.example", 99, "", ""),
        ("syslog+tls://[::1]", setting.TLS, "::1", 6514, "", ""),
        ("http://h", setting.LOGPLEX, "h", 80, "/", ""),
        ("https://a:b%3Ac%40d@h/in?x=1", setting.LOGPLEX, "h", 443, "/in?x=1", "a:b:c@d"),
        ("https+json://token@h:8443", setting.JSON, "h", 8443, "/", "token:"),
    ],
)  # fmt: skip
def test_an_address(text: str, kind: str, host: str, port: int, path: str, user: str) -> None:
    [found] = setting.parse(text)
    assert (found.kind, found.host, found.port, found.path, found.user) == (
        kind,
        host,
        port,
        path,
        user,
    )
    assert found.secure == (kind == setting.TLS or text.lower().startswith("https"))
    assert "@" not in found.shown and "?" not in found.shown and str(port) in found.shown


@pytest.mark.parametrize(
    "text",
    ["logs.example:514", "ftp://h", "syslog://", "syslog://h:0", "syslog://h:70000", "syslog://a@h",
     "syslog://h/x", "syslog://h?x", "https://h/#x", "https://h/a b", "https://h\u00e4", "https://[h", "://h"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        setting.receivers(f"syslog://h,{text}")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        found = setting.parse(f"https://user:{text}@host/")
    except ValueError as error:
        assert len(text) < 4 or text not in str(error)
    else:
        assert all(drain.host and 0 < drain.port < 65536 for drain in found)


# --- messages ------------------------------------------------------------------------------------


def test_messages() -> None:
    def one(kind: str) -> bytes:
        [found] = syslog.encode(kind, "vm 1", "shop", "web.1", WHEN, b"a \xff line")
        return found

    head = b"<14>1 2023-11-14T22:13:20.123Z vm_1 shop web.1 "
    assert one(setting.UDP) == one(setting.TCP) == one(setting.TLS) == head + b"- - a \xff line"
    assert one(setting.LOGPLEX) == head + b"- a \xff line"
    assert json.loads(one(setting.JSON)) == {
        "time": "2023-11-14T22:13:20.123Z", "host": "vm 1", "app": "shop", "process": "web.1",
        "message": "a \ufffd line",
    }  # fmt: skip
    assert syslog.framed([b"ab", b"c"]) == syslog.body(setting.LOGPLEX, [b"ab", b"c"]) == b"2 ab1 c"
    assert syslog.body(setting.JSON, [b"{}", b"[]"]) == b"{}\n[]\n"


@given(
    st.sampled_from([setting.UDP, setting.TCP]), st.text(max_size=300), st.text(max_size=80),
    st.floats(0, 4e9), st.text(min_size=1, max_size=2500),
)  # fmt: skip
def test_every_message_is_well_formed_and_short_enough(
    kind: str, host: str, app: str, when: float, text: str
) -> None:
    raw = text.encode(errors="replace") * 4
    found = list(syslog.encode(kind, host, app, "web.1", when, raw))
    matches = [MESSAGE.fullmatch(message) for message in found]
    assert all(matches) and b"".join(match["text"] for match in matches if match) == raw
    assert all(len(message) <= (2048 if kind == setting.UDP else 8192) for message in found)
    assert all(
        match["text"].decode() is not None for match in matches if match
    )  # no character is cut
    assert frames(syslog.framed(found)) == (found, b"")


# --- what waits ----------------------------------------------------------------------------------


def test_what_is_too_much_is_dropped_and_counted() -> None:
    said: list[str] = []
    receiver = Tcp()
    with closing(receiver):
        [drain] = setting.parse(f"syslog+tcp://127.0.0.1:{receiver.port}")
        sender = Sender("shop", drain, "", "vm", said.append)
        for number in range(50_000):
            sender.put("web.1", WHEN, f"line {number}".encode())
        kept = sender.left
        assert kept * 100 < 1 << 20 and not sender.ready
        sender.start()
        until(lambda: receiver.texts("drain"))
        lost = f"{50_000 - kept} lines were dropped"
        assert [text.partition(":")[0] for text in receiver.texts("drain")] == [lost]
        assert receiver.texts("web.1") == [
            f"line {number}" for number in range(50_000 - kept, 50_000)
        ]
        assert said == [f"{drain.shown} takes the log; {lost}"] and sender.ready
        sender.finish()
        sender.join(5)
        assert not sender.is_alive() and not sender.left


def test_it_says_so_once_a_minute(paths: Paths) -> None:
    said: list[str] = []
    clock = [1000.0]
    receiver = Tcp()
    receiver.close()
    [drain] = setting.parse(f"syslog+tcp://127.0.0.1:{receiver.port}")
    sender = Sender("shop", drain, "", "vm", said.append, now=lambda: clock[0])
    sender.put("web.1", WHEN, b"a line")
    sender.start()
    until(lambda: said)
    assert said == [f"{drain.shown} does not take the log: Connection refused"]
    clock[0] += 61
    until(lambda: len(said) == 2)
    again = Tcp(receiver.port)
    with closing(again):
        until(lambda: again.texts() == ["a line"])
        until(lambda: said[2:] == [f"{drain.shown} takes the log again; nothing was dropped"])
    sender.finish()


# --- reading -------------------------------------------------------------------------------------


def test_a_tail_goes_on_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "web.1.log"
    log.write_bytes(b"\x1b]7331;1700000000123\x07one\ntwo\nhal")
    tail = Tail(str(log), os.open(log, os.O_RDONLY))
    assert tail.news() == [(WHEN, b"one"), (WHEN, b"two")]
    inode, offset = tail.place()
    assert (inode, log.read_bytes()[offset:]) == (log.stat().st_ino, b"hal")
    with log.open("ab") as file:
        file.write(b"f\n" + b"x" * 9 + b"\n" + b"y" * 9 + b"\n")
    assert tail.news(4) == [(WHEN, b"half")] and tail.behind
    assert tail.news() == [(WHEN, b"x" * 9), (WHEN, b"y" * 9)] and not tail.behind
    log.rename(tmp_path / "old")
    log.write_bytes(b"new\n")
    found = []
    until(lambda: found.extend(tail.news()) or found)
    assert found == [(WHEN, b"new")]
    log.unlink()
    until(lambda: tail.news() or tail.ended)


def test_a_tail_believes_no_time_that_cannot_be(tmp_path: Path) -> None:
    def news(name: str, text: bytes) -> list[tuple[float | None, bytes]]:
        log = tmp_path / name
        log.write_bytes(text)
        tail = Tail(str(log), os.open(log, os.O_RDONLY))
        found = tail.news()
        tail.close()
        return found

    ago, to_come = b"\x1b]7331;0000000000000\x07", b"\x1b]7331;9999999999999\x07"
    one = b"\x1b]7331;1700000000123\x07one\n"
    said = [(WHEN, text) for text in (b"one", b"two", b"three", b"four", b"five")]
    text = one + ago + b"two\n" + to_come + b"three\nfo" + ago + b"ur\n" + b"five" + to_come + b"\n"
    assert news("web.1@4.log", text) == said
    # What uWSGI serves has no stamps, and its app no say.
    text = b"2019-01-01 00:00:00 row\n" + ago + b"x\n"
    assert news("wsgi.1@4.log", text) == [(None, line) for line in text.split(b"\n")[:-1]]


def activation(app: AppPaths, number: int, **values: object) -> Live:
    process = Process(kind="web", instance=1, start=number)
    made = Live(number=number, release=number, checkout="c", processes=(process,), **values)  # type: ignore[arg-type]
    releases.save_activation(app, made)
    return made


def test_which_logs_are_read_and_from_where(paths: Paths, shop: AppPaths) -> None:
    receiver = Tcp()
    state = str(paths.uwsgi / "drain.state")
    shop.repo.mkdir(parents=True)
    shop.logs.mkdir(parents=True)

    def write(name: str, text: str) -> None:
        with (shop.logs / name).open("a") as file:
            file.write(text)

    def look(shipper: Shipper) -> list[str]:
        while shipper.look() < 0.1:
            pass
        return [f"{m.process} {m.text}" for m in receiver.messages]

    with closing(receiver):
        assert not shipping.follow(paths) and not shipping.listing(paths).exists()
        drain = f"syslog+tcp://127.0.0.1:{receiver.port}"
        line = '1.2.3.4 - - [%s] "GET /%s HTTP/1.1" 200 5 "-" "-" 1ms\n'
        at = [
            time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() + late))
            for late in (-9, 1)
        ]
        write("nginx.log", line % (at[0], "ago"))
        releases.commit(shop, activation(shop, 4, drains=(drain,)))
        write("nginx.log", line % (at[1], "since"))
        assert shipping.follow(paths)
        assert shipping.listing(paths).stat().st_mode & 0o777 == 0o600
        for name in ("web.1@3.log", "cron-x.1.log", "build.log", "web.1.log.old", "drain.log"):
            write(name, "long ago\n")
        write("web.1@4.log", "starts\n")
        (shop.logs / "web.1.log").symlink_to("web.1@4.log")
        shipper = Shipper(str(shipping.listing(paths)), state)
        since = "nginx " + (line % (at[1], "since")).rstrip()
        until(lambda: sorted(look(shipper)) == [since, "web.1 starts"])
        # One that is on its way has its turn when it is live, or has failed.
        activation(shop, 5)
        write("web.1@5.log", "tries\n")
        write("cron-x.1.log", log_timestamps.stamped("job", time.time()))
        write("nginx.log", "asked\n")
        until(lambda: len(look(shipper)) == 4)
        assert sorted(look(shipper)) == ["cron-x.1 job", since, "nginx asked", "web.1 starts"]
        files.remove(shop.activation(5))
        until(lambda: "web.1 tries" in look(shipper))
        shipper.end()
        # It goes on where it was, also in what was renamed meanwhile.
        write("nginx.log", "before\n")
        (shop.logs / "nginx.log").rename(shop.logs / "nginx.log.old")
        write("nginx.log", "after\n")
        write("web.1@4.log", "meanwhile\n")
        shipper = Shipper(str(shipping.listing(paths)), state)
        until(lambda: len(look(shipper)) >= 8)
        assert sorted(look(shipper)[5:]) == ["nginx after", "nginx before", "web.1 meanwhile"]
        releases.commit(shop, activation(shop, 6))
        assert not shipping.follow(paths)
        write("nginx.log", "the last\n")
        until(lambda: "nginx the last" in look(shipper))
        write("nginx.log", "no more\n")
        shipper.look()
        shipper.end()
        assert json.loads(Path(state).read_text()) == {}
        assert re.findall("no more|long ago", " ".join(receiver.texts())) == []
