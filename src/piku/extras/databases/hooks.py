"""The hooks that every server calls. They load nothing while no app has had a database."""

from collections.abc import Collection, Iterable, Mapping

from piku.nginx.site import Site
from piku.paths import AppPaths, Paths


def vassals(paths: Paths, _sites: Collection[Site]) -> Mapping[str, str]:
    if not (paths.root / "databases").is_dir():
        return {}
    from piku.extras.databases import server

    return server.vassals(paths)


def visible(app: AppPaths, values: Mapping[str, str]) -> Iterable[str]:
    if not (app.root / "databases").is_dir():
        return ()
    from piku.extras.databases import server

    return server.visible(app, values)


def starting(paths: Paths) -> None:
    if (paths.root / "databases").is_dir():
        from piku.extras.databases import server

        server.starting(paths)
