"""Certificates: self-signed at once, from a real authority soon, renewed by themselves, or one's own."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.support import APPS, App, refused, web
from tests.load import Load, Plan
from tests.web.pebble import Pebble

PATIENCE = 40.0


@pytest.fixture(scope="module")
def authority(server: Sandbox) -> Iterator[Pebble]:
    # Of every hundred requests it refuses five for nothing, as it does by default.
    with Pebble(server.base / "pebble", http_port=server.http_port) as pebble:
        lines = {"ACME_ROOT_CA": pebble.directory, **pebble.client_env()}
        (server.root / "ENV").write_text(
            "".join(f"{name}={value}\n" for name, value in lines.items())
        )
        yield pebble


def new_app(server: Sandbox, name: str, env: str = "") -> App:
    return App(server=server, name=name, repository=server.repository(name, web(name, env=env)))


def certs(app: App) -> dict[str, Any]:
    """What `piku certs` says of an app."""
    [found] = json.loads(app.does("certs", "--json"))
    assert isinstance(found, dict)
    return found


def shown(server: Sandbox, host: str) -> dict[str, str]:
    """The certificate that a client is shown, as openssl reads it."""
    address = f"{HOST}:{server.https_port}"
    client = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-servername", host],
        input=b"", capture_output=True, check=False, timeout=10,
    )  # fmt: skip
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-issuer", "-serial", "-ext", "subjectAltName"],
        input=client.stdout, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    pairs = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {**pairs, "names": said.rpartition("\n    ")[2].strip()}


def curl(server: Sandbox, host: str, root: Path, *options: str) -> str:
    """What a client gets that trusts this authority alone; fails if the certificate is not for the host."""
    port = server.https_port
    command = [
        "curl",
        "-sS",
        "--fail",
        "--cacert",
        str(root),
        "--resolve",
        f"{host}:{port}:{HOST}",
        *options,
    ]
    done = subprocess.run(
        [*command, f"https://{host}:{port}/"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_trusted(server: Sandbox, host: str, root: Path) -> bool:
    context = ssl.create_default_context(cafile=str(root))
    with socket.create_connection((HOST, server.https_port), 10) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLError:
            return False
        return True


def arrives(app: App, authority: Pebble | Path, host: str = "") -> None:
    """Wait until clients trust the app's certificate; nothing is deployed for it."""
    root = authority if isinstance(authority, Path) else authority.root()
    what = f"{host or app.host} has a certificate"
    app.server.wait(lambda: is_trusted(app.server, host or app.host, root), PATIENCE, what)
    # For a moment nginx's workers of before may still answer: this waits until those have gone.
    app.does("certs:renew")


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
    assert server.piku("certs:renew", "--quiet").stdout == ""
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
        assert seconds(app.deployed) < 10
        assert app.body(https=True) == "one"
        failed = server.wait(lambda: certs(app)["failed"], PATIENCE)
        assert "get directory at" in failed["error"]
        assert failed["count"] == 1
        assert "next try" in app.does("certs")
        assert "get directory at" in app.does("certs")

        # It waits for its turn, however often somebody deploys; a person need not wait.
        app.commit(version_txt="two")
        app.deployed()
        assert server.piku("certs:renew", "--quiet").returncode == 0
        assert certs(app)["failed"]["count"] == 1
        result = app.says("certs:renew")
        assert result.returncode == 1
        assert "lego got no certificate" in result.stdout
        assert certs(app)["failed"]["count"] == 2
    pause_ends(server, app)
    app.commit(version_txt="three")
    app.deployed()
    # The authority has forgotten the account meanwhile, and a new one is made.
    arrives(app, authority)
    server.wait(lambda: certs(app)["failed"] is None)


def seconds(function: Callable[[], object]) -> float:
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def pause_ends(server: Sandbox, app: App) -> None:
    """The minutes after which a failure is tried again have passed."""
    note = server.root / "certificates" / f"{app.name}.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "next": 0}))


def test_a_slow_authority_does_not_hold_up_a_push(server: Sandbox, authority: Pebble) -> None:
    app = new_app(server, "slow")
    with authority.hanging():
        assert seconds(app.deployed) < 10
        assert app.body(https=True) == "one"
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


# --- acme.sh -------------------------------------------------------------------------------------


def test_acme_sh_is_asked_as_it_documents(server: Sandbox, authority: Pebble) -> None:
    root = server.home / "other acme.sh"
    root.mkdir()
    script = root / "acme.sh"
    shutil.copy(APPS / "acme_sh.py", script)
    script.chmod(0o755)
    app = new_app(server, "scripted", f"ACME_ROOT={root}\nACME_EMAIL=me@shop.localhost\nSTAGE=live\n"
                  "NGINX_SERVER_NAME=scripted.localhost,api.scripted.localhost\n")  # fmt: skip
    app.deployed()
    arrives(app, authority)
    calls = [json.loads(line) for line in (root / "calls").read_text().splitlines()]
    names = ["-d", "scripted.localhost", "-d", "api.scripted.localhost"]
    webroot, ca = str(server.root / "acme"), authority.directory
    assert calls[0] == ["--issue", *names, "-w", webroot, "--server", ca, "-m", "me@shop.localhost"]
    nginx = server.root / "nginx"
    assert calls[1][:-1] == [
        "--install-cert", "-d", "scripted.localhost", "--key-file", str(nginx / "scripted.key"),
        "--fullchain-file", str(nginx / "scripted.crt"), "--reloadcmd",
    ]  # fmt: skip
    assert len(calls) == 2
    assert certs(app)["serving"]["source"] == "acme.sh"

    # Its own timer renews without us, in an environment of its own, and nginx takes that up.
    before = shown(server, app.host)["serial"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(server.home), **authority.client_env()}
    subprocess.run([script, "--cron"], check=True, env=env, capture_output=True)
    assert shown(server, app.host)["serial"] != before
    assert certs(app)["serving"]["source"] == "acme.sh"

    # Not due for acme.sh (exit 2) is no failure; and what a person forces is forced.
    app.does("certs:renew", "--force")
    assert json.loads((root / "calls").read_text().splitlines()[-2])[-1] == "--force"


def test_an_existing_certificate_is_taken_first(server: Sandbox, authority: Pebble) -> None:
    folder = server.home / ".acme.sh" / "there.localhost_ecc"
    folder.mkdir(parents=True)
    ca, key, chain = made(server.base / "office", "there.localhost")
    (folder / "there.localhost.key").write_text(key)
    (folder / "fullchain.cer").write_text(chain)
    before = authority.orders()
    app = new_app(server, "there")
    app.deployed()
    arrives(app, ca)
    assert curl(server, app.host, ca) == "one"
    assert authority.orders() == before


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


# --- one's own -----------------------------------------------------------------------------------


def made(folder: Path, *names: str, days: int = 30) -> tuple[Path, str, str]:
    """A certificate from an authority of the office: the authority's, the key, and the chain."""
    folder.mkdir(exist_ok=True)
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    ca = folder / "ca.pem"
    if not ca.exists():
        first = [
            "-days",
            "30",
            "-subj",
            "/CN=Office",
            "-keyout",
            str(folder / "ca.key"),
            "-out",
            str(ca),
        ]
        subprocess.run([*new, *first], check=True, capture_output=True)
    places = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    alternatives = ",".join(f"DNS:{name}" for name in names)
    rest = ["-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName={alternatives}"]
    signed = [
        "-CA",
        str(ca),
        "-CAkey",
        str(folder / "ca.key"),
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    subprocess.run([*new, *rest, *signed, *places], check=True, capture_output=True)
    return ca, (folder / "key.pem").read_text(), (folder / "cert.pem").read_text() + ca.read_text()


def test_a_certificate_of_ones_own(server: Sandbox, authority: Pebble, shop: App) -> None:
    folder = server.base / "mine"
    ca, key, chain = made(folder, shop.host, "*.shop.localhost")
    before = shown(server, shop.host)
    for text, words in {
        chain + made(folder, shop.host)[1]: "the key does not belong to the certificate",
        chain: "what was given as key has none in it",
        key: "what was given as certificate has none in it",
        "".join(made(folder, shop.host)[1:]): "not for www.shop.localhost",
        key.replace("M", "N", 3) + chain: "the key cannot be read",
    }.items():
        refused(shop.asked("certs:add", "-", input=text), 1, words)
    refused(shop.says("certs:add", "/nowhere", "/nowhere"), 1, "/nowhere cannot be read")
    assert shown(server, shop.host) == before

    # Whatever the order in which they come.
    said = shop.asked("certs:add", "-", input=key + chain)
    assert said.returncode == 0, said.stderr
    assert curl(server, shop.host, ca) == "one"
    assert curl(server, "www.shop.localhost", ca, "-I").startswith("HTTP/2 301")
    assert certs(shop)["serving"]["source"] == "own"
    assert "certificate of its own" in shop.does("certs:renew")

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
    pause_ends(server, app)
    server.start_platform()
    assert is_trusted(server, shop.host, authority.root())
    arrives(app, authority)

    kept = certs(app)["serving"]["path"]
    assert f"Kept: {kept}" in app.does("destroy", "--force")
    assert Path(kept).exists()
