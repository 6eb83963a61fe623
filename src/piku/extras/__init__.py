"""Extras: what goes beyond the specification, one folder each (design, "The house").

A folder's `__init__` has its `EXTRA`. Remove a folder, its name here and its tests, and everything
else works.
"""

EXTRAS: tuple[str, ...] = (
    "certs",
    "cron",
    "detached",
    "django",
    "doctor",
    "dry_run",
    "excerpt",
    "hints",
    "idle",
    "keys",
    "lego",
    "lfs",
    "limits",
    "log_drain",
    "maintenance",
    "monorepo",
    "site_options",
    "status",
    "submodules",
    "update",
)
