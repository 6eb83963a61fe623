"""Where alerts go. In the server's ENV for everything, with config:set for one app."""

import re
from collections.abc import Mapping
from typing import Any

from piku import dotenv
from piku.app import checks
from piku.app.settings import Setting
from piku.paths import AppPaths, Paths

FORMATS = ("json", "ntfy", "slack", "discord")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}")


def mailbox(text: str) -> str:
    """An e-mail address: none when empty; or ValueError."""
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError("not a mail address, such as ada@example.com")
    return text


# fmt: off
WEBHOOK_URL = Setting(name="PIKU_WEBHOOK_URL", repository=False, secret=True, check=checks.http_url,
    doc="The address to which alerts are sent as an HTTP POST.")
WEBHOOK_FORMAT = Setting(name="PIKU_WEBHOOK_FORMAT", repository=False, default="json",
    check=checks.choice(*FORMATS),
    doc="What the receiver understands: json, ntfy, slack (also Mattermost and Matrix) or discord.")
WEBHOOK_SECRET = Setting(name="PIKU_WEBHOOK_SECRET", repository=False, secret=True, check=str,
    doc="The secret with which alerts are signed, as Standard Webhooks describes it.")
ALERT_MAIL = Setting(name="PIKU_ALERT_MAIL", repository=False, check=mailbox,
    doc="The address to which alerts are mailed by the server's own sendmail.")
HEARTBEAT_URL = Setting(name="PIKU_HEARTBEAT_URL", repository=False, secret=True,
    check=checks.http_url,
    doc="An address requested every two minutes while nothing is wrong, so that silence is"
        " noticed elsewhere.")
SETTINGS: tuple[Setting[Any], ...] = (
    WEBHOOK_URL, WEBHOOK_FORMAT, WEBHOOK_SECRET, ALERT_MAIL, HEARTBEAT_URL,
)
# fmt: on


def of_server(paths: Paths) -> dict[str, str]:
    """The values of the server's ENV; raises PikuError when it is damaged."""
    return dotenv.load(paths.server_env, {})


def of_app(server: Mapping[str, str], app: AppPaths) -> dict[str, str]:
    """Those for an app, whose own come before the server's; raises PikuError when they are
    damaged."""
    return {**server, **dotenv.load(app.settings)}


def wanted(values: Mapping[str, str]) -> bool:
    """Whether anybody wants to be told."""
    return any(values.get(one.name) for one in (WEBHOOK_URL, ALERT_MAIL, HEARTBEAT_URL))
