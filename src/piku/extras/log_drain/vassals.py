"""A rsyslogd for each app with a drain, run by the emperor as long as the app has one."""

import hashlib
import shlex
from collections.abc import Collection
from pathlib import Path

from piku import dotenv, files, subprocesses
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.log_drain import config
from piku.extras.log_drain.settings import LOG_DRAIN, LOG_DRAIN_CA, TLS
from piku.nginx.site import Site
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.uwsgi import ini

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def check(deployment: Deployment) -> tuple[str, ...]:
    """Refuse drains that this server cannot send to."""
    drains = LOG_DRAIN.read(deployment.values)
    if not drains:
        return ()
    if subprocesses.which("rsyslogd") is None:
        hint = "ask the server's owner to run: apt-get install rsyslog"
        raise PikuError(f"{LOG_DRAIN.name}: this server lacks rsyslogd", hint=hint)
    if any(drain.scheme == TLS for drain in drains) and not _tls_driver():
        hint = "ask the server's owner to run: apt-get install rsyslog-gnutls"
        raise PikuError(f"{LOG_DRAIN.name}: rsyslogd on this server lacks TLS", hint=hint)
    wanted = LOG_DRAIN_CA.read(deployment.values)
    is_absolute = wanted.startswith("/")
    text = files.read(Path(wanted)) if is_absolute else deployment.revision.tree.read(wanted)
    if wanted and "-----BEGIN CERTIFICATE-----" not in text:
        raise PikuError(f"{LOG_DRAIN_CA.name}={wanted} has no certificate in PEM form")
    return ()


def vassals(paths: Paths, _sites: Collection[Site]) -> dict[str, str]:
    """The ini of each app's rsyslogd. One app's damaged settings do not concern the others."""
    found = {}
    for name in paths.app_names():
        vassal = f"{SEPARATOR}drain-{name}.ini"
        try:
            text = _configured(paths, paths.app(name))
        except (PikuError, OSError):
            text = files.peek(paths.enabled / vassal) or ""  # as before
        if text:
            found[vassal] = text
    return found


def _configured(paths: Paths, app: AppPaths) -> str:
    """Write the configuration of an app's rsyslogd; returns its ini, or "" without a drain."""
    if not app.live_link.is_symlink():
        return ""  # it is being destroyed
    values = dotenv.parse(files.read(app.live_env), "LIVE_ENV")
    drains = LOG_DRAIN.read(values)
    if not drains:
        return ""
    state = _folder(paths, app)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = LOG_DRAIN_CA.read(values)
    authorities = str(app.live_link / wanted) if wanted else _AUTHORITIES
    text = config.render(app, drains, str(state), authorities, _tls_driver())
    place = state / "rsyslogd.conf"
    if files.peek(place) != text:
        files.write(place, text, mode=0o600)
    return _ini(app, place, text)


def _ini(app: AppPaths, place: Path, text: str) -> str:
    command = shlex.join(["rsyslogd", "-n", "-f", str(place), "-i", str(place.with_name("pid"))])
    log = str(app.logs / "drain.log")  # errors that rsyslogd prints
    return ini.render(
        [
            ("strict", "true"),
            ("master", "true"),
            ("die-on-term", "true"),
            # The emperor restarts a vassal whose ini changes.
            ("set-placeholder", f"digest={hashlib.sha256(text.encode()).hexdigest()}"),
            ("processes", "0"),
            ("env", f"PATH={subprocesses.SYSTEM_PATH}"),
            ("reload-mercy", "6"),  # seconds in which rsyslogd sends or saves its queue
            ("attach-daemon", f"exec setpriv --pdeathsig KILL -- {command}"),
            ("logto", log),
            ("log-maxsize", "1048576"),
            ("log-backupname", f"{log}.old"),
            ("logfile-chmod", "640"),
        ]
    )


def destroyed(paths: Paths, app: AppPaths) -> None:
    files.discard([_folder(paths, app)])


def _folder(paths: Paths, app: AppPaths) -> Path:
    return paths.uwsgi / "drains" / app.name


def _tls_driver() -> str:
    """The name of rsyslogd's TLS driver that is installed, or ""."""
    folders = [*Path("/usr/lib").glob("*/rsyslog"), Path("/usr/lib/rsyslog")]
    for name in ("gtls", "ossl"):
        if any((folder / f"lmnsd_{name}.so").exists() for folder in folders):
            return name
    return ""
