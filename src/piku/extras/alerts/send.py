"""How an alert looks to each kind of receiver, and its delivery by curl or sendmail."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import html
import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit

from piku import subprocesses
from piku.errors import PikuError
from piku.extras.alerts import settings
from piku.output import plain

WEBHOOK, MAIL = "webhook", "mail"
_CURL = (
    "curl", "--silent", "--show-error", "--max-time", "10", "--output", "/dev/null",
    "--write-out", "%{response_code}", "--config", "-",
)  # fmt: skip
# Events, with the priority and the tag that ntfy shows.
_EVENTS = {
    "problem": ("high", "warning"),
    "solved": ("default", "white_check_mark"),
    "live": ("low", "rocket"),
    "failed": ("high", "x"),
    "test": ("default", "bell"),
}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One event: `app` is "" for the server; `at` is in seconds of the epoch."""

    id: str
    at: int
    app: str
    event: str
    what: str
    detail: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The event in one line, as a terminal may get it, and a header."""
        text = plain(f"{self.app}: {self.what}" if self.app else self.what)
        return " ".join(text.splitlines())  # at other ends of lines than a terminal's, too

    @property
    def text(self) -> str:
        """The title and what belongs to it, for a person."""
        return "\n".join((self.title, *map(plain, self.detail), f"(piku on {platform.node()})"))


def address(to: str, values: Mapping[str, str]) -> str:
    """The address of a kind of receiver with these settings, or ""."""
    return (settings.ALERT_MAIL if to == MAIL else settings.WEBHOOK_URL).read(values) or ""


def receivers(values: Mapping[str, str]) -> Iterator[str]:
    """Where alerts with these settings go."""
    return (to for to in (WEBHOOK, MAIL) if address(to, values))


def send(alert: Alert, to: str, values: Mapping[str, str]) -> None:
    """Deliver to one of the receivers; raises PikuError when it did not take the alert."""
    if not (where := address(to, values)):
        return
    if to == MAIL:
        _mail(alert, where)
    else:
        _curl(where, *request(alert, values))


def request(alert: Alert, values: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The headers and the body of the POST request."""
    kind = settings.WEBHOOK_FORMAT.read(values)
    headers = {"Content-Type": "application/json"}
    if kind == "ntfy":
        priority, tags = _EVENTS[alert.event]
        # ASCII, for a header; the text has the rest. https://docs.ntfy.sh/publish/
        title = alert.title.encode("ascii", "replace").decode()
        headers = {"Title": title, "Priority": priority, "Tags": tags}
        body = alert.text
    elif kind == "slack":
        # &, < and > would make links and mentions (Slack, "Formatting text for app surfaces").
        body = json.dumps({"text": html.escape(alert.text, quote=False)})
    elif kind == "discord":
        body = json.dumps({"content": alert.text[:2000], "allowed_mentions": {"parse": []}})
    else:
        body = json.dumps({"server": platform.node(), **asdict(alert)})
    if secret := settings.WEBHOOK_SECRET.read(values):
        headers |= signature(alert.id, int(time.time()), body, secret)
    return headers, body


def signature(identity: str, now: int, body: str, secret: str) -> dict[str, str]:
    """Headers as Standard Webhooks has them: the receiver checks them with the same secret."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = secret.encode()
    mac = hmac.new(key, f"{identity}.{now}.{body}".encode(), hashlib.sha256).digest()
    return {
        "Webhook-Id": identity,
        "Webhook-Timestamp": str(now),
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def beat(url: str) -> None:
    """Ask this address; that nobody answers there is for the one who waits for it to notice."""
    with contextlib.suppress(PikuError):
        _curl(url, {}, None)


def _curl(url: str, headers: Mapping[str, str], body: str | None) -> None:
    """One request. Everything is given on standard input: an address may hold a secret."""
    lines = [("url", url), *(("header", f"{name}: {value}") for name, value in headers.items())]
    if body is not None:
        lines.append(("data-raw", body))
    config = "".join(f"{option} = {_quoted(value)}\n" for option, value in lines)
    try:
        status = subprocesses.run(_CURL, stdin=config, timeout=15)
    except subprocesses.ProgramFailed as error:
        raise PikuError(error.output.strip()) from None
    if not status.startswith("2"):
        raise PikuError(f"{urlsplit(url).netloc} answered {status}")


def _quoted(value: str) -> str:
    """A value as curl's configuration files have it: curl(1), "--config"."""
    for character, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n"), ("\r", r"\r")):
        value = value.replace(character, escaped)
    return f'"{value}"'


def _mail(alert: Alert, address: str) -> None:
    message = EmailMessage()
    message["To"], message["Subject"] = address, f"[piku] {alert.title}"[:200]
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from out of office
    message.set_content(alert.text)
    subprocesses.run(["sendmail", "-i", "-t"], stdin=message.as_string(), timeout=30)
