"""A push to another repository deploys the app here, through nginx."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable

from sandbox import Sandbox

from tests.e2e.support import WEB, App, web

PATH = "/.well-known/piku/deploy"


def call(app: App, secret: str, ref: str = "refs/heads/main", **others: str) -> tuple[int, str]:
    """What GitHub sends after a push."""
    body = json.dumps({"ref": ref, **others}).encode()
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={mac}", "Content-Type": "application/json"}
    status, _, answer = app.server.get(
        app.host, PATH, https=True, method="POST", headers=headers, body=body
    )
    return status, answer.decode()


def vassals(server: Sandbox) -> set[str]:
    found = (server.root / "uwsgi-enabled").iterdir()
    return {path.name for path in found if path.name.startswith("@webhook")}


def test_a_push_elsewhere_deploys_here(new_app: Callable[..., App], server: Sandbox) -> None:
    origin = new_app("upstream", {k: v for k, v in web("x").items() if k != "ENV"})
    app = App(server=server, name="hooked", repository=origin.repository)
    key = app.does("deploy-key")
    assert server.piku("setup:ssh", "-", "--name", "hooked", input=key).returncode == 0
    url = f"ssh://{server.address}:{server.ssh_port}/upstream"
    app.does("deploy", "--from", url)
    said = app.says("webhook")
    assert said.returncode == 1 and "nginx does not serve hooked" in said.stderr
    app.does("config:set", "NGINX_SERVER_NAME=hooked.localhost")
    assert "piku deploy upstream --from URL" in origin.says("webhook").stderr
    assert app.status(PATH) == 200 and not vassals(server)  # the app itself answers
    said = app.says("webhook")
    assert said.returncode == 0, said.stderr
    assert f"https://hooked.localhost:{server.https_port}{PATH}\n" in said.stdout
    found = re.search(r"Secret: (\S{40})\n", said.stdout)
    assert found is not None
    secret = found[1]
    assert app.does("webhook") == said.stdout
    assert "@webhook.ini" in vassals(server)

    # What is not signed with the secret does nothing, nor what is no push to the branch.
    origin.commit(version_txt="two")
    origin.deployed()
    before = len(app.releases())
    assert call(app, "wrong")[0] == 403
    assert server.get(app.host, PATH, method="POST", body=b"{}")[0] == 403
    assert app.status(PATH) == 405
    assert call(app, secret, filler="x" * (5 << 20))[0] == 413
    status, text = call(app, secret, "refs/heads/other")
    assert status == 200 and "not a push to main" in text
    assert call(app, secret, after="0" * 40)[0] == 200
    assert app.body() == "one" and len(app.releases()) == before

    # One that is answers at once, and the deploy goes on; its output is in the log of builds.
    assert call(app, secret)[0] == 202
    log = server.root / "logs" / "hooked" / "build.log"
    server.wait(lambda: f"v{before + 1} is live" in log.read_text(), timeout=60)
    assert app.body() == "two"
    assert f"Fetching {url}#main, by a webhook" in log.read_text()
    assert secret not in log.read_text()

    # GitLab sends the secret itself. Many at once are one deploy after the running one.
    waits = "[ $APP = upstream ] || until [ -e $DATA_ROOT/go ]; do sleep 0.1; done"
    origin.commit(Procfile=f"{WEB}release: {waits}\n", version_txt="three")
    origin.deployed()
    gitlab = {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Push Hook"}
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    assert server.get(app.host, PATH, method="POST", headers=gitlab, body=body)[0] == 202
    server.wait(lambda: len(app.releases()) == before + 2, timeout=30)
    origin.commit(version_txt="four")
    origin.deployed()
    assert [call(app, secret)[0] for _ in range(12)] == [202] * 12
    assert app.body() == "two"
    app.data.mkdir(exist_ok=True)
    (app.data / "go").touch()
    server.wait(lambda: app.body() == "four", timeout=60)
    # Of the twelve, one that started late may wait to fetch: then this one leaves it to that.
    server.wait(lambda: "Nothing new" in app.does("pull"))
    assert len(app.releases()) == before + 3

    # What fails is in the log as well.
    origin.commit(Procfile=WEB + "release: test $APP = upstream\n")
    origin.deployed()
    assert call(app, secret)[0] == 202
    failed = f"v{before + 4} failed at the release command"
    server.wait(lambda: failed in log.read_text(), timeout=60)
    assert app.body() == "four"

    app.does("webhook", "--off")
    assert app.status(PATH) == 200 and not vassals(server)  # the app itself answers
    assert secret not in app.does("webhook")
    app.does("destroy", "--force")
    assert not vassals(server)
