"""What an app keeps for its webhook, and what nginx and the emperor do for it."""

import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import piku
from piku import records
from piku.cli.common import self_argv
from piku.errors import PikuError
from piku.nginx.directives import Raw, d, location
from piku.nginx.site import Additions, Site
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import housekeeping, ini

PATH = ".well-known/piku/deploy"
LARGEST = 5 << 20  # bytes of a request
CALL = "PIKU_WEBHOOK_CALL"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """What the sender of a request must know."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """What `piku deploy --from` recorded: an address, and the branch that deploys."""

    url: str
    ref: str


def record(app: AppPaths) -> Path:
    return app.envs / "webhook.json"


def source(app: AppPaths) -> Source:
    """Where the app came from; raises PikuError when that is nowhere."""
    found = records.load(app.envs / "source.json", Source)
    if found is None:
        hint = f"say from where, once: piku deploy {app.name} --from URL"
        raise PikuError(f"{app.name} has no source whose pushes could deploy it", hint=hint)
    return found


def _socket(paths: Paths) -> Path:
    return paths.uwsgi / "webhook.sock"


def additions(paths: Paths, app: AppPaths, _site: Site) -> Additions | None:
    """The address of the app's webhook, while it has one."""
    if not record(app).exists():
        return None
    body = [
        d("client_max_body_size", LARGEST),
        d("auth_basic", "off"),
        d("uwsgi_pass", f"unix:{_socket(paths)}"),
        d("uwsgi_param", "PIKU_APP", app.name),
        d("uwsgi_param", "REQUEST_METHOD", Raw("$request_method")),
        d("uwsgi_param", "CONTENT_LENGTH", Raw("$content_length")),
        d("uwsgi_param", "SERVER_PROTOCOL", Raw("$server_protocol")),
    ]
    return Additions(server=(location(f"/{PATH}", body, modifier="="),))


def vassals(paths: Paths, sites: Collection[Site]) -> dict[str, str]:
    """The vassal that answers, while any app has a webhook."""
    # Not Path.exists, which raises where a folder of the app's is closed.
    if not any(os.path.exists(record(paths.app(AppName(site.app)))) for site in sites):
        return {}
    options = (
        ("env", f"PIKU_ROOT={paths.root}"),
        ("env", f"HOME={paths.home}"),
        ("env", f"{CALL}={shlex.join(self_argv())}"),
        ("plugins", "python3"),
        ("pythonpath", str(Path(piku.__file__).resolve().parents[1])),
        ("module", "piku.extras.webhook.answer:application"),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        ("processes", "1"),
        ("threads", "4"),
        ("disable-logging", "true"),
        *ini.idle(30),
    )
    text = housekeeping.vassal(paths, "webhook", options)
    return {"@webhook.ini": text, f"@webhook.ini{ini.DEMAND}": str(_socket(paths))}
