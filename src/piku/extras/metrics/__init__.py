"""What apps did over time: requests, latency, errors, memory, processors (docs/page.md).

Off until `metrics:on`. `request_log` has nginx note requests, `sampling` takes the figures when
housekeeping runs, `history` keeps them in a file of fixed size for each app, `commands` shows them.
"""

from piku.extra import Extra

_SAMPLING = "piku.extras.metrics.sampling:"

EXTRA = Extra(
    name="metrics",
    commands={
        "metrics": "piku.extras.metrics.commands:metrics",
        "metrics:off": "piku.extras.metrics.commands:metrics_off",
        "metrics:on": "piku.extras.metrics.commands:metrics_on",
    },
    nginx="piku.extras.metrics.request_log:additions",
    periodic=f"{_SAMPLING}periodic",
    history=f"{_SAMPLING}series",
    destroyed=f"{_SAMPLING}destroyed",
)
