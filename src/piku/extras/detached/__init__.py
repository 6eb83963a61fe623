"""Commands that go on after their connection has ended: `piku run --detach` and `piku ps:stop`.

`runs` starts, finds and ends them. Nothing is recorded: a run is known by the mark in the
environment of its processes, and by its log.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="detached",
    commands={"ps:stop": "piku.extras.detached.commands:ps_stop"},
    flags={"run": "piku.extras.detached.commands:with_flags"},
    in_use="piku.extras.detached.runs:releases_in_use",
    rows="piku.extras.detached.runs:rows",
    destroyed="piku.extras.detached.runs:end_all",
)
