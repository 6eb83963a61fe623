"""One-off commands that go on when their caller has left (`piku run --detach`)."""

from piku.extra import Extra

EXTRA = Extra(
    name="detached",
    commands={"ps:stop": "piku.extras.detached.commands:ps_stop"},
    flags={"run --detach": "piku.extras.detached.commands:detach"},
)
