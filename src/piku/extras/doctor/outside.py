"""An app as its visitors meet it: asked through nginx by each of its names, by http and https."""

from __future__ import annotations

from collections.abc import Iterator

from piku.extras.doctor import asking, explain, front, names
from piku.extras.doctor.asking import Answer, Url
from piku.extras.doctor.facts import Facts, Why
from piku.extras.doctor.findings import OK, Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.extras.maintenance import state
from piku.nginx.site import Site
from piku.paths import AppPaths


def outside(scene: Scene) -> Iterator[Finding]:
    """Ask each app that is looked at, and say why it answers as it does."""
    for app in scene.apps:
        live = scene.live.get(app.name)
        if live is None or live.site is None:
            continue  # nginx does not serve it, which is told
        facts = Facts(
            scene=scene, app=app, live=live, site=live.site, paused=state.state(app)
        )  # fmt: skip
        yield from _of(scene, app, facts)


def _of(scene: Scene, app: AppPaths, facts: Facts) -> Iterator[Finding]:
    # What is wrong in the same way by several names is one fault.
    told: dict[tuple[str, str], tuple[Why, list[str]]] = {}
    for url in _starts(scene, facts.site):
        trail = asking.follow(scene, facts.site, url)
        why = explain.explain(trail, facts)
        told.setdefault((why.severity, why.text), (why, []))[1].append(url.shown(scene.platform))
        yield from _behind_proxy(scene, app, facts.site, trail)
        if explain.is_of_all(trail):
            break
    for why, urls in told.values():
        if why.severity == OK:
            yield from (ok(f"{url} {why.text}", app=app.name) for url in urls)
        else:
            kind = problem if why.severity == "problem" else warning
            more = f" (and {', '.join(urls[1:])})" if len(urls) > 1 else ""
            yield kind(f"{urls[0]}{more}: {why.text}", why.fix, app=app.name, detail=why.detail)


def _starts(scene: Scene, site: Site) -> Iterator[Url]:
    """What to ask: the address that was given, or the given path of every name."""
    if not scene.url.startswith("/"):
        given = asking.parsed(scene.url, scene.platform)
        assert given is not None  # the command line has seen to it
        yield given
        return
    for name in site.certified:
        for secure in (False, True):
            # Any host stands for a wildcard.
            yield Url(secure=secure, host=name.replace("*", "piku-doctor", 1), path=scene.url)


def _behind_proxy(
    scene: Scene, app: AppPaths, site: Site, trail: tuple[Answer, ...]
) -> Iterator[Finding]:
    """Whether a proxy that speaks http to this server, as Cloudflare's "flexible" does, is redirected for ever."""
    first = trail[0]
    to_https = first.location.startswith(f"https://{first.url.host}")
    if first.url.secure or not 300 <= first.status < 400 or not to_https:
        return
    if front.address(scene):
        yield from front.by_http(scene, str(app.name), site, first.url)
    elif site.cloudflare or names.behind(scene, first.url.host):
        who = "NGINX_HTTPS_ONLY sends" if site.https_only else "the app sends"
        yield warning(
            f"{first.url.host} is behind a proxy, and {who} http to https: a proxy that speaks http to this server"
            " goes round for ever",
            "have the proxy speak https to this server; at Cloudflare, SSL/TLS mode Full",
            app=app.name,
        )
