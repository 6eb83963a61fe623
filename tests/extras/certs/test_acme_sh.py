"""Certificates: self-signed at once, an existing one, or one that acme.sh gets and renews."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from sandbox import Sandbox

from tests.e2e.support import APPS
from tests.extras.certs.certificates import arrives, curl, made, new_app, shown, trusting
from tests.extras.certs.pebble import Pebble


@pytest.fixture(scope="module")
def authority(server: Sandbox) -> Iterator[Pebble]:
    with Pebble(server.base / "pebble", http_port=server.http_port) as pebble:
        trusting(server, pebble)
        yield pebble


def test_acme_sh_is_called_as_it_documents(server: Sandbox, authority: Pebble) -> None:
    root = server.home / "other acme.sh"
    root.mkdir()
    script = root / "acme.sh"
    shutil.copy(APPS / "acme_sh.py", script)
    script.chmod(0o755)
    app = new_app(server, "scripted", f"ACME_ROOT={root}\nSTAGE=live\n"
                  "NGINX_SERVER_NAME=scripted.localhost,api.scripted.localhost\n")  # fmt: skip
    with authority.hanging():
        app.deployed()
        assert "self-signed" in shown(server, app.host)["issuer"]
    arrives(app, authority)
    calls = [json.loads(line) for line in (root / "calls").read_text().splitlines()]
    names = ["-d", "scripted.localhost", "-d", "api.scripted.localhost"]
    webroot, ca = str(server.root / "acme"), authority.directory
    issue = ["--issue", "--force", *names, "-w", webroot, "--server", ca]
    assert calls == [issue]

    # Its own timer renews without us, and that one is taken.
    before = shown(server, app.host)["serial"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(server.home), **authority.client_env()}
    subprocess.run([script, "--cron"], check=True, env=env, capture_output=True)
    app.does("certs:renew")
    renewed = shown(server, app.host)["serial"]
    assert renewed != before

    app.does("certs:renew", "--force")
    assert shown(server, app.host)["serial"] not in (before, renewed)


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


def test_damage_in_one_app_s_certificates_is_its_own(server: Sandbox) -> None:
    broken, other = (new_app(server, name) for name in ("broken", "other"))
    broken.deployed()
    other.deployed()
    nginx = server.root / "nginx"
    (nginx / "broken@self-signed.pem").write_text("# piku: {}\n")
    (nginx / "broken@acme.json").write_text("{")
    (nginx / "broken@own.pem").mkdir()
    for app in (other, broken):
        app.does("config:set", "A=1")
        assert app.body(https=True) == "one"
