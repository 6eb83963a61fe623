"""Sends an app's logs elsewhere as well, by a rsyslogd per app (docs/logs.md).

`settings` reads PIKU_LOG_DRAIN, `config` renders rsyslogd's configuration, `vassals` has the
emperor run it.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="log_drain",
    settings="piku.extras.log_drain.settings:SETTINGS",
    check="piku.extras.log_drain.vassals:check",
    vassals="piku.extras.log_drain.vassals:vassals",
    destroyed="piku.extras.log_drain.vassals:destroyed",
)
