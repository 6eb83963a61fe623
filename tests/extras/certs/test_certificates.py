"""Certificates that lego gets and renews, by HTTP or DNS, and one's own."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.support import APPS, App, refused
from tests.extras.certs.certificates import (
    PATIENCE,
    arrives,
    curl,
    is_trusted,
    made,
    new_app,
    shown,
    trusting,
)
from tests.extras.certs.pebble import Pebble
from tests.load import Load, Plan


@pytest.fixture(scope="module")
def authority(server: Sandbox) -> Iterator[Pebble]:
    # Of every hundred requests it refuses five for nothing, as it does by default.
    with Pebble(server.base / "pebble", http_port=server.http_port) as pebble:
        trusting(server, pebble)
        yield pebble


def certs(app: App) -> dict[str, Any]:
    """What `piku certs` says of an app."""
    [found] = json.loads(app.does("certs", "--json"))
    assert isinstance(found, dict)
    return found


def log(server: Sandbox) -> str:
    """What the renewals by themselves have said."""
    return (server.root / "uwsgi" / "housekeeping.log").read_text()


# --- from an authority ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(server: Sandbox, authority: Pebble) -> App:
    """An app with two names, served over HTTPS alone; its certificate is there."""
    env = "NGINX_REDIRECT_FROM=www.shop.localhost\nNGINX_HTTPS_ONLY=true\nNGINX_HSTS=true\n"
    app = new_app(server, "shop", env)
    with authority.hanging():
        app.deployed()
        # At once there is one, which nobody trusts, and of which a browser must not make a rule.
        assert "self-signed" in shown(server, app.host)["issuer"]
        assert server.get(app.host, https=True)[1]["Strict-Transport-Security"] is None
    arrives(app, authority)
    return app


def test_a_certificate_comes_by_itself(server: Sandbox, authority: Pebble, shop: App) -> None:
    assert curl(server, shop.host, authority.root()) == "one"
    found = shown(server, "www.shop.localhost")
    assert found["names"] == "DNS:shop.localhost, DNS:www.shop.localhost"
    assert "Pebble" in found["issuer"]
    assert server.get(shop.host, https=True)[1]["Strict-Transport-Security"]
    assert len(shop.releases()) == 1

    said = certs(shop)
    assert said["serving"]["source"] == "lego" and not said["missing"] and not said["failed"]
    assert "Pebble" in shop.does("certs") and "(365 days)" in shop.does("certs")
    assert "certificate from Pebble" in log(server)


def test_a_challenge_is_served_at_any_time(server: Sandbox, shop: App) -> None:
    folder = server.root / "acme" / ".well-known" / "acme-challenge"
    (folder / "token").write_text("proof")
    # Over HTTP although everything else is redirected, and for hosts that no app has yet.
    for host in (shop.host, "not-yet.localhost"):
        status, _, body = server.get(host, "/.well-known/acme-challenge/token")
        assert (status, body) == (200, b"proof")
    assert server.get(shop.host, "/.well-known/acme-challenge/other")[0] == 404


def test_nothing_is_asked_that_is_not_due(server: Sandbox, authority: Pebble, shop: App) -> None:
    before = authority.orders()
    assert "valid until" in shop.does("certs:renew")
    shop.commit(version_txt="one")
    shop.deployed()
    assert server.piku("housekeeping").stdout == ""
    assert authority.orders() == before


def test_renewed_under_load(server: Sandbox, authority: Pebble, shop: App) -> None:
    """Due ones are renewed by themselves; every request finds a certificate that it trusts, and an answer."""
    first = shown(server, shop.host)["serial"]
    plan = Plan(port=server.https_port, host=shop.host, body="one", kept=4, connections=12, slow=2, rate=60,
                trust=str(authority.root()))  # fmt: skip
    with Load(plan) as running:
        shop.does("certs:renew", "--force")
        second = shown(server, shop.host)["serial"]
        # As if it had been issued long ago: what the file says of itself decides.
        pem = Path(certs(shop)["serving"]["path"])
        head, _, rest = pem.read_text().partition("\n")
        said = json.loads(head.removeprefix("# piku: "))
        said |= {"not_before": said["not_before"] - 10**8, "not_after": int(time.time()) + 60}
        pem.write_text(f"# piku: {json.dumps(said)}\n{rest}")
        shop.commit(note_txt="any change has piku look again")
        shop.deployed()
        server.wait(lambda: shown(server, shop.host)["serial"] not in (first, second), PATIENCE)
    report = running.report
    print(report)
    assert report.requests > 50
    assert not report.failures, report.failed


def test_a_failing_authority_does_not_hold_up_a_push(
    server: Sandbox, authority: Pebble, shop: App
) -> None:
    app = new_app(server, "late")
    with authority.away():
        assert seconds(app.deployed) < 25
        assert app.body(https=True) == "one"
        failed = server.wait(lambda: certs(app)["failed"], PATIENCE)
        next_at(server, app, time.time() + 3600)
        assert "get directory at" in failed["error"]
        assert failed["count"] == 1
        assert "next try" in app.does("certs")
        assert "get directory at" in app.does("certs")

        # It waits for its turn, however often somebody deploys; a person need not wait.
        app.commit(version_txt="two")
        app.deployed()
        assert server.piku("housekeeping").returncode == 0
        assert certs(app)["failed"]["count"] == 1
        result = app.says("certs:renew")
        assert result.returncode == 1
        assert "lego got no certificate" in result.stdout
        assert certs(app)["failed"]["count"] == 2
    next_at(server, app, 0)
    app.commit(version_txt="three")
    app.deployed()
    # The authority has forgotten the account meanwhile, and a new one is made.
    arrives(app, authority)
    server.wait(lambda: certs(app)["failed"] is None)


def seconds(function: Callable[[], object]) -> float:
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def next_at(server: Sandbox, app: App, moment: float) -> None:
    """Have it try again after a failure then; 0 for at once."""
    note = server.root / "nginx" / f"{app.name}@acme.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "retry": moment}))


def test_a_slow_authority_does_not_hold_up_a_push(server: Sandbox, authority: Pebble) -> None:
    app = new_app(server, "slow")
    with authority.hanging():
        assert seconds(app.deployed) < 25
        assert app.body(https=True) == "one"
        # What has begun and not ended has not failed.
        server.wait(lambda: "attempt 1 has begun" in app.does("certs"), PATIENCE)
        assert certs(app)["failed"] is None
    arrives(app, authority)


def test_a_name_more_does_not_break_the_others(server: Sandbox, authority: Pebble) -> None:
    app = new_app(server, "grows")
    app.deployed()
    arrives(app, authority)
    with authority.hanging():
        app.does("config:set", "NGINX_SERVER_NAME=grows.localhost,more.localhost")
        assert is_trusted(server, "grows.localhost", authority.root())
        assert "not for more.localhost" in app.does("certs")
    arrives(app, authority, "more.localhost")
    assert shown(server, app.host)["names"] == "DNS:grows.localhost, DNS:more.localhost"


# --- DNS -----------------------------------------------------------------------------------------


def test_a_wildcard_by_dns(server: Sandbox, authority: Pebble) -> None:
    hook = server.home / "dns-hook"
    shutil.copy(APPS / "dns_hook.py", hook)
    hook.chmod(0o755)
    app = new_app(server, "many", "NGINX_SERVER_NAME=*.many.localhost\n")
    said = app.deployed()
    assert any("a wildcard needs ACME_DNS" in line for line in said)
    assert certs(app)["serving"]["source"] == "self-signed"

    settings = {
        "ACME_DNS": "exec",
        "ACME_OPTIONS": f"--dns.disable-cp --dns.resolvers {authority.resolver}",
        "EXEC_PATH": str(hook),
        "DNS_RECORDS": authority.records,
        "EXEC_POLLING_INTERVAL": "1",
        "DNS_TOKEN": "opensesame",
    }
    app.does("config:set", *(f"{name}={value}" for name, value in settings.items()))
    arrives(app, authority, "any.many.localhost")
    assert shown(server, "any.many.localhost")["names"] == "DNS:*.many.localhost"


# --- one's own --------------------------------------------------------------------------------


def test_a_certificate_of_ones_own(server: Sandbox, authority: Pebble, shop: App) -> None:
    folder = server.base / "mine"
    ca, key, chain = made(folder, shop.host, "*.shop.localhost")
    before = shown(server, shop.host)
    other = "".join(made(folder, shop.host)[1:])
    refused(shop.asked("certs:add", "-", input=other), 1, "not for www.shop.localhost")
    assert shown(server, shop.host) == before

    said = shop.asked("certs:add", "-", input=key + chain)
    assert said.returncode == 0, said.stderr
    assert curl(server, shop.host, ca) == "one"
    assert curl(server, "www.shop.localhost", ca, "-I").startswith("HTTP/2 301")
    assert certs(shop)["serving"]["source"] == "own"
    assert "own certificate, valid until" in shop.does("certs:renew")

    shop.does("certs:remove")
    assert curl(server, shop.host, authority.root()) == "one"
    refused(shop.says("certs:remove"), 1, "no certificate of its own")


# --- the platform --------------------------------------------------------------------------------


def test_after_a_restart(server: Sandbox, authority: Pebble, shop: App) -> None:
    """Last in this file: it stops everything."""
    app = new_app(server, "waits")
    with authority.away():
        app.deployed()
        server.wait(lambda: certs(app)["failed"], PATIENCE)
        assert server.stop_platform() == 0
    next_at(server, app, 0)
    server.start_platform()
    assert is_trusted(server, shop.host, authority.root())
    arrives(app, authority)

    kept = certs(app)["serving"]["path"]
    assert f"Kept: {kept}" in app.does("destroy", "--force")
    assert Path(kept).exists()
