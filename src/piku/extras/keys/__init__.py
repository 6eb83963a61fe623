"""Commands that list and remove the keys that `setup:ssh` added (docs/security.md).

Start in commands.py; the entries themselves are those of `piku.ssh.keys`.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="keys",
    commands={
        "keys": "piku.extras.keys.commands:list_keys",
        "keys:remove": "piku.extras.keys.commands:keys_remove",
    },
)
