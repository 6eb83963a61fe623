"""Databases of apps: PostgreSQL, Redis, MariaDB and SQLite with the same commands.

See docs/databases.md. `kind` has what a row is, `sql` and `redis` are the rows, `server.KINDS` is
the table; `server` keeps the servers running, `commands` makes the commands of every row, and
`base` has the record of an app's databases, `envs/APP/databases.json`.
"""

from piku.extra import Extra

VERBS = ("create", "link", "connect", "dump", "restore", "info", "destroy")

EXTRA = Extra(
    name="databases",
    commands={
        f"{kind}:{verb}": f"piku.extras.databases.commands:{kind}_{verb}"
        for kind in ("postgres", "redis", "mariadb", "sqlite")
        for verb in VERBS
    },
    vassals="piku.extras.databases.hooks:vassals",
    starting="piku.extras.databases.hooks:starting",
    destroyed="piku.extras.databases.server:destroyed",
    visible="piku.extras.databases.hooks:visible",
    dump="piku.extras.databases.backups:dump",
    load="piku.extras.databases.backups:load",
)
