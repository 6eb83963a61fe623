"""What an app may use of the server: memory, processors, processes (docs/limits.md).

`cgroups` divides the cgroup that the platform was given when it starts. `limits` has the hooks: a
script beside each start of an app puts its processes into groups with the app's limits.
"""

from piku.extra import Extra

_LIMITS = "piku.extras.limits.limits:"

EXTRA = Extra(
    name="limits",
    settings="piku.extras.limits.settings:SETTINGS",
    starting="piku.extras.limits.cgroups:prepare",
    check=f"{_LIMITS}check",
    uwsgi=f"{_LIMITS}uwsgi",
    wrap=f"{_LIMITS}wrap",
    ended=f"{_LIMITS}ended",
    reconciled=f"{_LIMITS}reconciled",
    destroyed=f"{_LIMITS}reconciled",
    notes=f"{_LIMITS}notes",
)
