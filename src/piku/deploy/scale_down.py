"""Having fewer processes run, or none, by the live record alone.

What the app was made of may be gone or wrong by now, a file that a setting names or a line of the
server's ENV: that must keep nobody from stopping it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from piku import files, locks
from piku.deploy import reconcile, releases
from piku.deploy.releases import Activation, Process
from piku.nginx.site import Site
from piku.output import Output
from piku.paths import AppPaths, Paths


def keep(
    paths: Paths, app: AppPaths, live: Activation, kept: Sequence[Process], output: Output,
    *, counts: Mapping[str, int] | None = None, stopped: bool = False,
) -> None:  # fmt: skip
    """Have only these of the live processes go on, and see the others off after their requests.

    Raises PikuError when one of them does not stop.
    """
    new = replace(
        live,
        number=releases.next_activation(app),
        processes=tuple(kept),
        site=_site(app, live.site, [process for process in kept if process.address])
        if live.site
        else None,
        stopped=stopped,
        counts=counts,
    )
    releases.save_activation(app, new)
    for name in ("LIVE_ENV", "limits.json"):
        if text := files.read(app.activation(live.number) / name):
            files.write(app.activation(new.number) / name, text, mode=0o600)
    files.settle()
    with locks.lock(paths.uwsgi / "nginx.lock", "going live"):
        releases.commit(app, new)
    reconcile.converge(paths, app, say=output.detail)
    going = set(live.vassals(app.name)) - set(new.vassals(app.name))
    reconcile.see_off(paths, going, (), live.stop_timeout)


def _site(app: AppPaths, site: Site, served: Sequence[Process]) -> Site:
    if served:
        return replace(
            site,
            upstreams=tuple(
                f"unix:{app.socket(process.instance)}" if process.by_socket else process.address
                for process in served
            ),
            spares=tuple(
                f"{process.address.rpartition(':')[0]}:{process.spare}"
                for process in served
                if process.spare
            ),
        )
    app.access_log.parent.mkdir(parents=True, exist_ok=True)
    app.access_log.touch(mode=0o640)  # nginx would let everybody read it
    return replace(
        site, backend="", stopped=site.stopped or bool(site.backend), upstreams=(), spares=(), idle=0,
        access_log=str(app.access_log),
    )  # fmt: skip
