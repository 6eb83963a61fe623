"""curl as the client of the tests of what nginx does: what people, browsers and proxies have."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
from sandbox import HOST, Sandbox

from tests.e2e.support import APPS, App

ANSWERS = (APPS / "answers.py").read_text()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; headers by their lower case names."""

    status: int
    protocol: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


def command(
    server: Sandbox, host: str, path: str, *options: str, https: bool = False, at: str = HOST
) -> list[str]:
    """curl for one request; redirects are not followed, certificates not verified."""
    scheme, port = ("https", server.https_port) if https else ("http", server.http_port)
    return [
        "curl", "--silent", "--show-error", "--insecure", "--path-as-is", "--max-time", "30",
        "--noproxy", "*", "--resolve", f"*:{port}:{at}", *options, "--", f"{scheme}://{host}:{port}{path}",
    ]  # fmt: skip


def curl(
    server: Sandbox, host: str, path: str = "/", *options: str, https: bool = False, at: str = HOST,
    body: Path | None = None,
) -> Answer:  # fmt: skip
    """What one request brings, with a file as curl's standard input."""
    asked = command(server, host, path, "--include", *options, https=https, at=at)
    with (body or Path(os.devnull)).open("rb") as stdin:
        result = subprocess.run(
            asked, stdin=stdin, capture_output=True, check=False, env={"PATH": environment.PATH}
        )
    assert result.returncode == 0, result.stderr.decode()
    head, _, body = result.stdout.partition(b"\r\n\r\n")
    while head.split(b" ")[1].startswith(b"1"):  # 100 Continue
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Answer(
        status=int(first.split(" ")[1]), protocol=first.split(" ")[0], headers=headers, body=body
    )


def of(app: App, path: str = "/", *options: str, https: bool = False) -> Answer:
    """One request for the app's host."""
    return curl(app.server, app.host, path, *options, https=https)


def nobody_answers(server: Sandbox, host: str, path: str = "/", at: str = HOST) -> bool:
    """Whether the connection is closed without a word, which is curl's exit code 52, or 56 where
    that is a reset."""
    place = ["--resolve", f"*:{server.http_port}:{at}", f"http://{host}:{server.http_port}{path}"]
    asked = subprocess.run(["curl", "--silent", "--noproxy", "*", *place], check=False)
    return asked.returncode in (52, 56)


def answers(
    kind: str, name: str, env: str = "", procfile: str = "", **files: str
) -> dict[str, str]:
    """The files of an app of this kind, wsgi or web, that answers as the address says."""
    workers = {"wsgi": "wsgi: answers:app\n", "web": "web: exec python3 -IS answers.py\n"}
    own = {
        "Procfile": workers[kind] + procfile,
        "answers.py": ANSWERS,
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\n{env}",
    }
    return {
        **own,
        **{path.replace("__", "/").replace("_", "."): text for path, text in files.items()},
    }
