"""How long the certificates of apps last, and for what they are."""

from __future__ import annotations

import time
from collections.abc import Iterator

from piku.deploy import certificates as wishes
from piku.extras.certs import certs
from piku.extras.certs.certs import Status
from piku.extras.doctor import front
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.tls import acme
from piku.tls.certificate import OWN, SELF_SIGNED

_SOON = 14 * 86400


def certificates(scene: Scene) -> Iterator[Finding]:
    """What browsers may not like, now or soon."""
    for status in certs.status(scene.paths, scene.only):
        found = list(_of(scene, status))
        yield from found or [
            ok(
                f"its certificate ({status.serving.source}) is valid until {status.serving.last_day}",
                app=status.app,
            )
        ]


def _of(scene: Scene, status: Status) -> Iterator[Finding]:
    app, serving = status.app, status.serving
    public = [name for name in status.names if acme.is_public(name)]
    if status.tried.count:
        why = status.tried.error.splitlines()
        yield warning(
            f"no certificate could be had for it ({status.tried.count} attempts): {why[-1] if why else 'unknown'}",
            f"mend that, then: piku certs:renew {app}",
            app=app,
            detail=tuple(why[-6:-1]),
        )
    elif (
        serving.source == SELF_SIGNED and public and not front.address(scene)
    ):  # else browsers never see it
        values = wishes.live_values(scene.paths, scene.paths.app(app))
        has = acme.client(wishes.acme_root(scene.paths, values), values)
        fix = f"piku certs:renew {app}" if has else "sudo apt-get install lego"
        yield warning(
            f"its certificate is self-signed: browsers warn of {', '.join(public)}", fix, app=app
        )
    if serving.source == SELF_SIGNED:
        return
    fix = (
        f"give it a new one: piku certs:add {app} CERT KEY"
        if serving.source == OWN
        else f"piku certs:renew {app}"
    )
    left = serving.not_after - time.time()
    if left <= 0:
        yield problem(f"its certificate has expired on {serving.last_day}", fix, app=app)
    elif left < _SOON and serving.due(time.time()):
        yield warning(
            f"its certificate ends on {serving.last_day}, in {left / 86400:.0f} days",
            fix,
            app=app,
        )
    if status.missing:
        yield warning(f"its certificate is not for {', '.join(status.missing)}", fix, app=app)
