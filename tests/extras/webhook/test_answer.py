"""Who may start a deploy by a webhook, and which requests do."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest

from piku.extras.webhook import answer

SECRET = "Zm9vYmFy"
BODY = b'{"ref": "refs/heads/main"}'


def signed(body: bytes = BODY, secret: str = SECRET, kind: str = "sha256") -> dict[str, str]:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"HTTP_X_HUB_SIGNATURE_256": f"{kind}={mac}"}


@pytest.mark.parametrize("good", [signed(), {"HTTP_X_GITLAB_TOKEN": SECRET}])
def test_authentic(good: dict[str, str]) -> None:
    assert answer.is_authentic(BODY, good, SECRET)


@pytest.mark.parametrize(
    "bad",
    [
        {}, signed(BODY + b" "), signed(secret="other"), signed(kind="sha1"), signed(kind=""),
        {"HTTP_X_HUB_SIGNATURE_256": ""}, {"HTTP_X_HUB_SIGNATURE_256": "sha256="},
        {"HTTP_X_HUB_SIGNATURE_256": SECRET}, {"HTTP_X_GITLAB_TOKEN": ""},
        {"HTTP_X_GITLAB_TOKEN": SECRET + "x"}, {"HTTP_X_GITLAB_TOKEN": "\xe9"},
    ],
)  # fmt: skip
def test_not_authentic(bad: dict[str, str]) -> None:
    assert not answer.is_authentic(BODY, bad, SECRET)


@pytest.mark.parametrize(
    ("body", "ref"),
    [
        (BODY, "refs/heads/main"),
        (urlencode({"payload": BODY.decode()}).encode(), "refs/heads/main"),
        (json.dumps({"ref": "refs/tags/v1", "after": "ab"}).encode(), "refs/tags/v1"),
        (json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode(), ""),  # it is deleted
        (b'{"zen": "ping"}', ""), (b"[]", ""), (b"", ""), (b"\xff", ""), (b"payload=", ""),
        (b'{"ref": {"a": 1}}', ""), (b"null", ""),
    ],
)  # fmt: skip
def test_what_was_pushed(body: bytes, ref: str) -> None:
    assert answer.pushed_ref(body) == ref
