"""The settings of log drains."""

from __future__ import annotations

from typing import Any

from piku.app import nginx_checks
from piku.app.setting import Setting
from piku.extras.log_drain import setting

# fmt: off
LOG_DRAIN = Setting(name="PIKU_LOG_DRAIN", check=setting.receivers, secret=True,
    doc="Where else the app's log is sent: syslog://HOST:PORT, syslog+tcp://, syslog+tls://,"
        " http(s):// as Heroku does it, or http(s)+json://; several separated by commas.")
LOG_DRAIN_CA = Setting(name="PIKU_LOG_DRAIN_CA", check=nginx_checks.file_path,
    doc="A PEM file of certificate authorities to trust for log drains besides the system's: in the"
        " repository, or by an absolute path.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (LOG_DRAIN, LOG_DRAIN_CA)
