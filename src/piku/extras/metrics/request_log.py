"""Where nginx notes each request of an app: loaded by every deploy, so it is small."""

from pathlib import Path

from piku.nginx import proxy
from piku.nginx.directives import Raw, d
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths


def folder(paths: Paths) -> Path:
    """All that is measured; without this folder nothing is."""
    return paths.root / "metrics"


def log(paths: Paths, app: str) -> Path:
    """The log of an app: the time, the status and the duration of each request."""
    return folder(paths) / f"{app}.log"


def additions(paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """The directives for it."""
    if not folder(paths).is_dir():
        return None
    place, name = log(paths, app.name), f"piku_metrics_{proxy.identifier(site)}"
    place.touch(mode=0o640)
    return Additions(
        http=(d("log_format", name, Raw("'$msec $status $request_time'")),),
        server=(d("access_log", str(place), name, "buffer=4k", "flush=10s"),),
    )
