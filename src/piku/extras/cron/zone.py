"""The setting TZ: a name that the C library does not know would silently be UTC."""

from piku.app.settings import Setting


def _check(name: str) -> str:
    """A time zone: its name as it is."""
    from zoneinfo import ZoneInfo  # slow to import

    try:
        if name not in ("", "UTC"):
            ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        what = "this server has no such time zone; write one such as Europe/Lisbon"
        raise ValueError(what) from None
    return name


TIME_ZONE = Setting(
    name="TZ",
    check=_check,
    doc="Time zone of the app and its jobs, such as Europe/Lisbon; by default the server's.",
)
SETTINGS = (TIME_ZONE,)
