"""Who did what: a line in `audit.log` for each command that changes something or shows a secret
(docs/security.md).

`record` writes it, `commands` shows it.
"""

from piku.extra import Extra

EXTRA = Extra(
    name="audit",
    commands={"audit": "piku.extras.audit.commands:audit"},
    record="piku.extras.audit.record:record",
)
