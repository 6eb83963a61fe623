"""Having fewer processes run, or none, by the live record alone.

What the app was made of may be gone or wrong by now, a file that a setting names or a line of the
server's ENV: that must keep nobody from stopping it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from piku import files, locks
from piku.deploy import reconcile, releases, site_config
from piku.deploy.releases import Activation, Process
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
        site=replace(
            live.site,
            upstreams=site_config.upstreams(app, [one for one in kept if one.address]),
        )
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
