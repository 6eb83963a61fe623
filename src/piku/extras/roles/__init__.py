"""What a key may do: its role, the apps that it is for, and how much they may take
(docs/security.md, docs/adr/0042-roles.md).

`roles` has the table of commands and decides; `piku.extras.keys` writes the role into the line of
the key, whose forced command hands it to us. A key without a role is an administrator's.
"""

from piku.extra import Extra

EXTRA = Extra(name="roles", authorize="piku.extras.roles.roles:authorize")
