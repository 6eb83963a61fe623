"""Whether uWSGI understands an app's own options: at a start that fails, it would say so in its own
log."""

import re
from pathlib import Path

from piku import files, subprocesses
from piku.app import settings
from piku.deploy import process_config, revision
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.errors import PikuError

_TIMEOUT = 30.0  # seconds


def check(deployment: Deployment, process: Process, file: Path) -> None:
    """Have uWSGI read the options, as the process would; raises PikuError with its words."""
    wanted = settings.UWSGI_INCLUDE.read(deployment.values)
    if not re.search(r"^\s*\[uwsgi\]", files.read(file), re.MULTILINE):
        raise PikuError(f"UWSGI_INCLUDE_FILE={wanted} has no line [uwsgi]: nothing would count")
    pairs = process_config.language(deployment, process.kind) if process.served else ()
    plugged = [f"--plugins={value}" for name, value in pairs if name == "plugins"]
    command = ["uwsgi", "--strict", *plugged, "--no-server", "--ini", str(file)]
    inside = revision.confined(deployment.app, deployment.release, deployment.revision, command)
    try:
        subprocesses.run(inside, cwd=deployment.checkout, timeout=_TIMEOUT)
    except subprocesses.ProgramFailed as error:
        said = error.output.replace(str(file), wanted).splitlines()[-3:]
        raise PikuError(f"uWSGI refuses UWSGI_INCLUDE_FILE={wanted}", detail=tuple(said)) from None
