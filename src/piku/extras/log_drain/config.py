"""rsyslogd's configuration for the drains of one app. Pure."""

import re
from collections.abc import Sequence

from piku.errors import PikuError
from piku.extras.log_drain.settings import TLS, UDP, Drain
from piku.paths import AppPaths

# imfile knows a file by its inode and records how far it has read it, so rotation loses nothing.
# The links in the folder lead to the same files; they have no "@" in their names.
_CONFIG = """\
global(workDirectory={state} processInternalMessages="on" internalmsg.severity="warning"
       maxMessageSize="64k" shutdown.queue.doublesize="on")
module(load="imfile")
template(name="line" type="list") {{
    constant(value="<14>1 ")
    property(name="timereported" dateFormat="rfc3339")
    constant(value=" ")
    property(name="hostname")
    constant(value=" {app} ")
    property(name="$!metadata!filename" regex.type="ERE" regex.submatch="1"
             regex.expression="([^/@]+)(@[0-9]+)?\\\\.log$")
    constant(value=" - - ")
    property(name="msg")
}}
ruleset(name="drains") {{
{actions}}}
{inputs}"""
_ACTION = """\
    action(type="omfwd" target={host} port="{port}" template="line" {protocol}
           action.resumeRetryCount="-1" action.resumeInterval="5" action.resumeIntervalMax="60"
           queue.type="LinkedList" queue.size="5000" queue.filename="drain{number}"
           queue.maxDiskSpace="16m" queue.saveOnShutdown="on"{several})
"""
# One receiver that is down slows the reading of logs down, so that nothing is lost; of several, it
# must not hold up the others.
_SEVERAL = ' queue.timeoutEnqueue="0"'
_TLS = """
           StreamDriver="{driver}" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
           StreamDriverPermittedPeers={host} StreamDriver.CAFile={authorities}"""
_INPUT = """\
input(type="imfile" file={file} tag="app" ruleset="drains" addMetadata="on"
      persistStateInterval="20")
"""
_FILES = ("*@*.log", "cron-*.1.log", "run.*.log", "nginx*.log")


def render(
    app: AppPaths, drains: Sequence[Drain], state: str, authorities: str, tls_driver: str
) -> str:
    """The configuration; `tls_driver` is "gtls" or "ossl", `state` is rsyslogd's own folder."""
    return _CONFIG.format(
        app=app.name[:48],  # the longest APP-NAME of RFC 5424
        state=_quoted(state),
        actions="".join(
            _action(number, drain, authorities, tls_driver, _SEVERAL if len(drains) > 1 else "")
            for number, drain in enumerate(drains)
        ),
        inputs="".join(_INPUT.format(file=_quoted(f"{app.logs}/{name}")) for name in _FILES),
    )


def _action(number: int, drain: Drain, authorities: str, tls_driver: str, several: str) -> str:
    host = _quoted(drain.host)
    protocol = 'protocol="tcp" TCP_Framing="octet-counted"'
    if drain.scheme == UDP:
        protocol = 'protocol="udp"'
    elif drain.scheme == TLS:
        protocol += _TLS.format(driver=tls_driver, host=host, authorities=_quoted(authorities))
    return _ACTION.format(
        number=number, host=host, port=drain.port, protocol=protocol, several=several
    )


def _quoted(path: str) -> str:
    if re.search(r'["\\\n]', path):  # rsyslogd has no way to write these
        raise PikuError(f"a log drain cannot use the path {path!r}")
    return f'"{path}"'
