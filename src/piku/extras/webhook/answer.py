"""The WSGI app behind the webhooks of all apps.

A request that is signed with the app's secret, and says that the branch of its source has moved,
starts `piku pull`. It sleeps between requests.
"""

import hashlib
import hmac
import json
import os
import shlex
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from piku import records
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.webhook import state
from piku.paths import AppName, AppPaths, Paths


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI app."""
    paths = Paths.from_environment(os.environ)
    app = paths.app(AppName.parse(environ["PIKU_APP"]))
    status, text = _answer(app, environ)
    if status.startswith("202"):
        _start(paths, app)
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


def _answer(app: AppPaths, environ: dict[str, Any]) -> tuple[str, str]:
    """The status and text for a request; 202 if the app is to be deployed."""
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed", "a webhook is called with POST"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length <= state.LARGEST else b""
    try:
        hook, wanted = records.load(state.record(app), state.Webhook), state.source(app)
    except PikuError as error:
        return "503 Service Unavailable", error.message
    if hook is None or not is_authentic(body, environ, hook.secret):
        return "403 Forbidden", "the signature is not of this app's secret"
    if pushed_ref(body) != f"refs/heads/{wanted.ref}":
        return "200 OK", f"nothing to deploy: this is not a push to {wanted.ref}"
    return "202 Accepted", f"{app.name} is being deployed; see: piku logs {app.name} build"


def is_authentic(body: bytes, environ: dict[str, Any], secret: str) -> bool:
    """Whether the sender knows the secret: GitHub, Gitea and Forgejo sign with it, GitLab sends
    it."""
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    signature = str(environ.get("HTTP_X_HUB_SIGNATURE_256", "")).encode()
    token = str(environ.get("HTTP_X_GITLAB_TOKEN", "")).encode()
    signed = hmac.compare_digest(signature, f"sha256={mac}".encode())
    return hmac.compare_digest(token, secret.encode()) or signed


def pushed_ref(body: bytes) -> str:
    """The reference that a push moved; nothing for other events. GitHub sends JSON, or a form with
    JSON in it."""
    try:
        text = body.decode()
        form = parse_qs(text).get("payload", [text]) if text.startswith("payload=") else [text]
        value = json.loads(form[0])
    except (ValueError, RecursionError):
        return ""
    ref, after = (value.get("ref"), value.get("after")) if isinstance(value, dict) else ("", "")
    gone = isinstance(after, str) and set(after) == {"0"}
    return ref if isinstance(ref, str) and not gone else ""


def _start(paths: Paths, app: AppPaths) -> None:
    """Start the deploy, which goes on when this vassal sleeps; its output is in the app's log."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    command = ["setsid", "--fork", *shlex.split(env.pop(state.CALL)), "pull", app.name, "--webhook"]
    with open(os.devnull, "r+b") as null:
        shared.spawn(command, cwd=paths.root, env=env, output=null.fileno()).wait()
