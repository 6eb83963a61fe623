"""What each kind of receiver is sent."""

import json
import os
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from piku.extras.alerts import send, watch
from piku.extras.alerts.send import Alert

HOSTILE = Alert(
    id="1",
    at=1,
    app="shop",
    event="problem",
    what='<@everyone> "x" \\ é\x1b[31m',
    detail=("a\nb\r",),
)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("slack", 'shop: &lt;@everyone&gt; "x" \\ é\\x1b[31m'),
        ("discord", 'shop: <@everyone> "x" \\ é\\x1b[31m'),
    ],
)
def test_chat(kind: str, title: str) -> None:
    headers, body = send.request(HOSTILE, {"PIKU_WEBHOOK_FORMAT": kind})
    said = json.loads(body)
    text = said.get("text") or said["content"]
    assert text.splitlines()[0] == title
    assert headers == {"Content-Type": "application/json"}
    assert kind != "discord" or said["allowed_mentions"] == {"parse": []}


def test_ntfy() -> None:
    headers, body = send.request(HOSTILE, {"PIKU_WEBHOOK_FORMAT": "ntfy"})
    assert headers["Title"] == 'shop: <@everyone> "x" \\ ?\\x1b[31m'
    assert headers["Priority"] == "high"
    assert body.startswith('shop: <@everyone> "x" \\ é\\x1b[31m\na\\x0ab\n')
    assert "\n" not in headers["Title"]


def test_json_has_everything_as_it_is() -> None:
    _, body = send.request(HOSTILE, {})
    assert body.isascii()
    assert json.loads(body)["what"] == HOSTILE.what


def test_what_is_no_utf_8_is_replaced() -> None:
    one = watch.alert("shop", "problem", "caf\udce9", ("\udcff",))
    assert (one.what, one.detail) == ("caf?", ("?",))


def test_signature() -> None:
    """The example of Standard Webhooks."""
    found = send.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert found["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("field", ["app", "what", "detail"])
def test_no_word_of_an_alert_becomes_a_header_of_the_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    sendmail, taken = tmp_path / "sendmail", tmp_path / "taken"
    sendmail.write_text(f"#!/bin/sh\ncat >{taken}\n")
    sendmail.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    evil = "x\r\nBcc: eve@example.com\r\n\r\nbody\n.\n\u2028\x85" + "long " * 100
    words = {"app": "shop", "what": "x", "detail": ()}
    words[field] = (evil,) if field == "detail" else evil
    one = Alert(id="1", at=1, event="problem", **words)  # type: ignore[arg-type]
    send.send(one, send.MAIL, {"PIKU_ALERT_MAIL": "ada@example.com"})
    found = message_from_bytes(taken.read_bytes(), policy=default)
    assert {name: found[name] for name in ("To", "Bcc")} == {"To": "ada@example.com", "Bcc": None}
    assert sorted(found.keys()) == sorted({*found.keys()}), "a header came twice"
    assert "Bcc" in f"{found['Subject']} {found.get_content()}"  # as text
