"""The settings of walls, and the check of one."""

from typing import Any

from piku.app import checks
from piku.app.settings import Setting


def paths(text: str) -> tuple[str, ...]:
    """One or more absolute paths: /srv/media, /run/postgresql."""
    found = tuple(checks.file_path(part) for part in checks.parts(text))
    for path in found:
        if not path.startswith("/"):
            raise ValueError(f"{checks.quoted(path)} is not an absolute path")
    return found


# Not in a repository's ENV: what is pushed shall not take down the walls that the server has.
# fmt: off
SANDBOX = Setting(name="PIKU_SANDBOX", default="false", repository=False, check=checks.boolean,
    doc="true or false: all that the app runs sees only its own files and processes. It needs"
        " bubblewrap. Set it with config:set, or for all apps in the server's ENV.")
PATHS = Setting(name="PIKU_SANDBOX_PATHS", repository=False, check=paths,
    doc="Further files, folders and sockets that an app with PIKU_SANDBOX may read and write.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (SANDBOX, PATHS)
