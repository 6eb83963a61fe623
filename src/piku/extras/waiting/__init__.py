"""Commands that do not wait for another one of the same app (`--no-wait`)."""

from piku.extra import Extra

_COMMANDS = ("deploy", "config:set", "config:unset", "ps:scale", "restart", "rollback", "stop")

EXTRA = Extra(
    name="waiting",
    flags=dict.fromkeys(_COMMANDS, "piku.extras.waiting.commands:with_flags"),
)
