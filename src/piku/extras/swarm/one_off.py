"""Commands that run once, such as those of `piku run`: in a container of the release's image, on
this server."""

import sys
from collections.abc import Sequence

from piku import files
from piku.deploy.releases import Release
from piku.deploy.revision import Revision
from piku.extras.swarm import service
from piku.extras.swarm.settings import DOCKER_HOST
from piku.output import Output
from piku.paths import AppPaths

# Whether there is a terminal is known when it runs.
_RUN = 'if [ -t 0 ]; then set -- -t "$@"; fi; exec /usr/bin/docker -H "$0" run "$@"'


def argv(
    app: AppPaths, release: Release, found: Revision, argv: Sequence[str]
) -> Sequence[str] | None:
    """What runs the command there; None for an app of this server."""
    if not service.is_chosen(found.values):
        return None
    image = service.image(app, release, found, Output(sys.stderr))
    secret = service.marker(app) / f"v{release.number}.settings"
    files.write(secret, service.secret(found.values, release), mode=0o600)
    options = ["--rm", "-i", "-e", "TERM", "-v", f"{secret}:{service.SETTINGS_FILE}:ro"]
    for one in service.mounts(app, found.values):
        driver = one["VolumeOptions"]["DriverConfig"]
        words = ["type=volume", f"src={one['Source']}", f"dst={one['Target']}"]
        words.append(f"volume-driver={driver['Name']}")
        words += [f"volume-opt={name}={value}" for name, value in driver["Options"].items()]
        options += ["--mount", ",".join(f'"{w}"' if "," in w else w for w in words)]  # as CSV
    socket = f"unix://{DOCKER_HOST.read(found.values)}"
    return ["/bin/sh", "-c", _RUN, socket, *options, image, "--", *argv]
