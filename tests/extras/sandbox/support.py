"""What the tests of walls share: apps that try every way out, and their victim."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import SERVER, WSGI, App, wsgi

APPS = Path(__file__).parent / "apps"
TRY = "python3 escape.py $DATA_ROOT"


def victims(server: Sandbox, new_app: NewApp) -> str:
    """Start two apps without walls; where they are, as the one that attacks them reads it."""
    files = {
        "Procfile": "web: exec python3 victim.py\n",
        "victim.py": (APPS / "victim.py").read_text(),
        "ENV": "NGINX_SERVER_NAME=victim.localhost\nNGINX_HTTPS_ONLY=false\nSECRET=one\n",
    }
    victim = pushed(new_app("victim", files, push=False), "SECRET=two")
    new_app("served", wsgi("served"))
    [port] = [int(row["address"].rpartition(":")[2]) for row in victim.ps().values()]
    return json.dumps(
        {
            "root": str(server.root),
            "home": str(server.home),
            "victim": "victim",
            "served": "served",
            "pid": int(victim.body()),
            "emperor": int((server.root / "uwsgi" / "emperor.pid").read_text()),
            "port": port,
            "tmp": f"/tmp/victim-{port}",  # noqa: S108
            "shm": f"/dev/shm/victim-{port}",  # noqa: S108
        }
    )


def attacker(name: str, targets: str) -> Mapping[str, str]:
    """An app that tries its ways out wherever something of it runs."""
    lines = (
        f"release: {TRY}/release.json",
        f"web: {TRY}/web.json && exec python3 -IS server.py",
        f"worker: {TRY}/worker.json && exec sleep 1000",
        f"cron-job: 0 0 1 1 * {TRY}/cron.json",
        "",
    )
    return {
        "Procfile": "\n".join(lines),
        "server.py": SERVER,
        "escape.py": (APPS / "escape.py").read_text(),
        "targets.json": targets,
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\n",
    }


def served_attacker(name: str, targets: str) -> Mapping[str, str]:
    """One that uWSGI serves, and that tries them when it is loaded."""
    own = "import escape, json, os\nfrom pathlib import Path\n"
    own += 'Path(os.environ["DATA_ROOT"], "wsgi.json").write_text(json.dumps(escape.tried()))\n'
    files = attacker(name, targets)
    return {**files, "Procfile": "wsgi: app:app\n", "app.py": own + WSGI}


def pushed(app: App, *settings: str) -> App:
    """Give an app its settings, and push it for the first time."""
    app.does("apps:create")
    app.does("config:set", *settings)
    app.deployed()
    return app


def walled(app: App) -> App:
    return pushed(app, "PIKU_SANDBOX=true")


def open_ways(app: App, kind: str) -> set[str]:
    """The ways out that something of the app's found open."""
    place = app.data / f"{kind}.json"
    app.server.wait(place.exists)
    found = json.loads(app.server.wait(place.read_text))
    return {name for name, failure in found.items() if not failure}
