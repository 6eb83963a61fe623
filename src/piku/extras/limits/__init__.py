"""What an app may use of the server: memory, processors, processes (docs/limits.md).

`cgroups` finds and divides the cgroup that the platform was given, when it starts. `limits` has the
hooks: a script beside each start of an app puts its processes into groups with the app's limits.
"""

from piku.extra import Extra

_HOOKS = "piku.extras.limits.limits"

EXTRA = Extra(
    name="limits",
    settings="piku.extras.limits.settings:SETTINGS",
    starting="piku.extras.limits.cgroups:prepare",
    check=f"{_HOOKS}:check",
    uwsgi=f"{_HOOKS}:uwsgi",
    wrap=f"{_HOOKS}:wrap",
    ended=f"{_HOOKS}:ended",
    reconciled=f"{_HOOKS}:reconciled",
    destroyed=f"{_HOOKS}:destroyed",
    periodic=f"{_HOOKS}:periodic",
    notes=f"{_HOOKS}:notes",
)
