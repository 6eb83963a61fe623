"""One server with an app of each kind, all of which answer alike; and curl in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import environment
import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp, maker, started
from tests.e2e.support import App
from tests.web.client import Answer, command, curl

APPS = Path(__file__).parent / "apps"
# kind: folder, line of the Procfile, further requirements
KINDS = {
    "wsgi": ("flask", "wsgi: app:app", ""),
    "gunicorn": (
        "flask",
        "web: gunicorn --access-logfile - --bind $BIND_ADDRESS:$PORT app:app",
        "gunicorn",
    ),
    "uvicorn": ("uvicorn", "web: uvicorn --host $BIND_ADDRESS --port $PORT app:app", ""),
    "node": ("node", "web: node server.js", ""),
    "go": ("go", "web: bin/echo", ""),
    "php": ("php", "php: .", ""),
}
# How a client speaks: the options of curl.
WAYS = {
    "http": ("--http1.1",),
    "https": ("--http1.1",),
    "http2": ("--http2",),
}


@dataclass(frozen=True, kw_only=True)
class Echo:
    """An app of one kind, asked in one way."""

    kind: str
    way: str
    app: App

    @property
    def by_uwsgi(self) -> bool:
        return self.kind in ("wsgi", "php")

    def command(self, path: str, *options: str) -> list[str]:
        """curl, as this client calls it."""
        words = (*WAYS[self.way], *options)
        return command(self.app.server, self.app.host, path, *words, https=self.way != "http")

    def ask(self, path: str, *options: str, body: Path | None = None) -> Answer:
        """What comes back, without an error of curl's."""
        words, secure = (*WAYS[self.way], *options), self.way != "http"
        answer = curl(self.app.server, self.app.host, path, *words, https=secure, body=body)
        assert answer.protocol == ("HTTP/2" if self.way == "http2" else "HTTP/1.1")
        return answer


def files_of(folder: str) -> dict[str, str]:
    """The files of an app, by their path in it."""
    sources = (path for path in (APPS / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(APPS / folder)): path.read_text() for path in sources}


@pytest.fixture(scope="package")
def server() -> Iterator[Sandbox]:
    """One for all files: the apps take longer to build than to ask."""
    for server in started():
        reach = environment.passed_on(environment.REGISTRIES)  # how this machine reaches them
        lines = (f"{name}='{text}'\n" for name, text in reach.items())
        (server.root / "ENV").write_text("".join(lines))
        yield server


@pytest.fixture(scope="package")
def new_app(server: Sandbox) -> NewApp:
    return maker(server)


@pytest.fixture(scope="package")
def apps(new_app: NewApp) -> dict[str, App]:
    """All of them, pushed one after the other. Who changes a setting of one resets it."""
    found = {}
    for kind, (folder, line, further) in KINDS.items():
        files = files_of(folder)
        if further:
            files["requirements.txt"] += f"{further}\n"
        files |= {"Procfile": f"{line}\n", "ENV": f"NGINX_SERVER_NAME={kind}.localhost\n"}
        found[kind] = new_app(kind, files)
    return found


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WAYS)
def echo(request: pytest.FixtureRequest, apps: dict[str, App], kind: str) -> Echo:
    return Echo(kind=kind, way=request.param, app=apps[kind])
