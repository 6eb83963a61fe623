"""A certificate of an authority that is not renewed in time."""

import pytest
from sandbox import Sandbox

from tests.extras.alerts.receiver import Receiver, arrives, look, tell
from tests.extras.certs.certificates import arrives as is_trusted
from tests.extras.certs.certificates import new_app, trusting
from tests.extras.certs.pebble import YEAR, Pebble

LIFETIME = 40  # seconds, which begin when it is issued


@pytest.mark.timeout(200)
def test_a_certificate_that_is_not_renewed(own_server: Sandbox) -> None:
    """It is told of once, before its end; after that, too, although another is served then."""
    receiver, server = Receiver(), own_server
    place = server.base / "pebble"
    with Pebble(place, http_port=server.http_port, lifetime=LIFETIME) as authority:
        trusting(server, authority)
        tell(server, receiver)
        app = new_app(server, "secure")
        app.deployed()
        is_trusted(app, authority)
        look(server)
        assert [event for event, _ in receiver.seen("secure")] == ["live"]  # a short life is fine
        authority.stop()
        what = arrives(app, receiver, "problem", "its certificate expire")
        server.wait(lambda: look(server) or "self-signed" in app.does("certs"), LIFETIME + 20)
        look(server)
        assert receiver.seen("secure")[1:] == [("problem", what)]
        authority.start(lifetime=YEAR)
        app.does("certs:renew")
        arrives(app, receiver, "solved", "over: its certificate expire")
    receiver.close()
