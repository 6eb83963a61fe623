"""Whoever wants to know is told when an app was killed for its memory."""

from __future__ import annotations

import pytest

from tests.extras.alerts.receiver import SECRET, Receiver, arrives
from tests.limits.conftest import Hungry
from tests.limits.support import PATIENCE, eat, is_back


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_an_app_that_takes_too_much_memory(hungry: Hungry, kind: str) -> None:
    receiver = Receiver()
    app = hungry(f"told-{kind}", kind, "PIKU_MEMORY_LIMIT=64M\n")
    address = f"PIKU_WEBHOOK_URL={receiver.url}/alerts"
    app.does("config:set", address, f"PIKU_WEBHOOK_SECRET={SECRET}")
    assert not eat(app, 100)
    is_back(app)
    killed = "was killed, for the app used more than PIKU_MEMORY_LIMIT"
    what = arrives(app, receiver, "problem", killed, 3 * PATIENCE)
    app.does("restart")
    arrives(app, receiver, "solved", f"over: {what}", 3 * PATIENCE)
    receiver.close()
