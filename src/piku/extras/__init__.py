"""Extras: what goes beyond the specification, one folder each (design, "The house").

A folder's `__init__` has its `EXTRA`. Remove a folder, its name here and its tests, and everything
else works.
"""

EXTRAS: tuple[str, ...] = (
    "certs",
    "cloudflare",
    "cron",
    "detached",
    "detect",
    "django",
    "doctor",
    "dry_run",
    "excerpt",
    "files_in_use",
    "foreign_files",
    "hints",
    "idle",
    "keys",
    "languages",
    "lego",
    "lfs",
    "limits",
    "log_drain",
    "maintenance",
    "monorepo",
    "mounts",
    "package_cache",
    "persist",
    "reasons",
    "scripts",
    "site_options",
    "sites",
    "sources",
    "status",
    "submodules",
    "trial",
    "update",
    "versions",
    "webhook",
)
