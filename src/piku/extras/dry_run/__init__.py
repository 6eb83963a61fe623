"""What a deploy would change, without changing it (`piku deploy --dry-run`)."""

from piku.extra import Extra

EXTRA = Extra(
    name="dry_run",
    flags={"deploy": "piku.extras.dry_run.commands:with_flags"},
)
