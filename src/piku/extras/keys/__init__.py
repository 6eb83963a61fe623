"""Commands that add keys with a role, and list and remove all keys (docs/security.md).

`add` has the commands that add, `commands` the others; the lines themselves are those of
`piku.ssh.keys`. What a role may do is up to the extra `roles`.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="keys",
    commands={
        "keys": "piku.extras.keys.commands:list_keys",
        "keys:add": "piku.extras.keys.add:keys_add",
        "keys:remove": "piku.extras.keys.commands:keys_remove",
    },
)
