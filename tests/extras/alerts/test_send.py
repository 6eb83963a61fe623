"""What each kind of receiver is sent."""

import json

import pytest

from piku.extras.alerts import send
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


def test_json_has_everything_as_it_is() -> None:
    _, body = send.request(HOSTILE, {})
    assert body.isascii()
    assert json.loads(body)["what"] == HOSTILE.what


def test_signature() -> None:
    """The example of Standard Webhooks."""
    found = send.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert found["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
