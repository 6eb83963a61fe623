"""The image of a release: base, environment, code, and how its processes start.

The first two are kept under tags made from what they were made from, and made again only when that
is another. The same files give the same layer, and what a registry has is not sent again.
"""

import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from piku import files, locks
from piku.app.procfile import UWSGI_SERVED
from piku.deploy import build, checkout, releases, revision
from piku.deploy.releases import Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.extras.image import base, packages, start
from piku.extras.image.layers import Layer
from piku.extras.image.store import Store, digest, require_tools
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import plugins
from piku.uwsgi.ini import Pairs

_FROM_OUTSIDE = ("BIND_ADDRESS", "PORT", "PWD", "PIKU_RELEASE", "PIKU_COMMIT")


def make(
    paths: Paths, app: AppPaths, release: Release, found: Revision, destination: str,
    output: Output, *, anew: bool = False,
) -> str:  # fmt: skip
    """Make the image of a release, copy it to `destination` ("": nowhere), and return its reference
    with the digest. `anew` makes the base again. Raises PikuError."""
    require_tools()
    if part := build.missing(app, release):
        raise PikuError(f"the {part} of v{release.number} is no longer here")
    target, name = _target(app, release, destination)
    folder = paths.root / "cache" / "@images"
    with locks.lock(folder / "lock", "making an image", waiting=output.detail):
        files.sweep(folder)
        store = Store(folder / "store")
        making = _Making(paths, app, release, found, store)
        tag = making.image(output, anew=anew)
        digested = store.digests()[tag]
    if target:  # a registry may be slow: others need not wait for it
        store.copy(tag, target)
    return f"{name or store.at(tag)}@{digested}"


def _target(app: AppPaths, release: Release, destination: str) -> tuple[str, str]:
    """Where skopeo copies it to, and what the image is called there."""
    short = app.name.label
    scheme, _, place = destination.partition(":")
    if destination.startswith("docker://"):
        return destination, re.sub(r":[^:/]*$", "", place.removeprefix("//"))
    if scheme == "oci" and place:
        named = place if ":" in place else f"{place}:{short}-v{release.number}"
        return f"oci:{named}", named
    if destination.endswith(".tar"):
        return f"docker-archive:{destination}:{short}:v{release.number}", destination
    if destination:
        hint = "oci:FOLDER, docker://REGISTRY/NAME:TAG, or a file whose name ends in .tar"
        raise PikuError(f"{destination!r} is no place for an image", hint=hint, code=2)
    return "", ""


def tidy(paths: Paths) -> None:
    """Remove images of apps that are gone, and bases that none needs any more (housekeeping)."""
    folder, known = paths.root / "cache" / "@images", {digest(one) for one in paths.app_names()}
    if not (folder / "store").is_dir():
        return
    with locks.lock(folder / "lock", "removing images", patient=False):
        store = Store(folder / "store")
        bases = list(folder.glob("*.base"))
        files.discard(place for place in bases if place.stem not in known)
        known |= {files.read(place).rpartition("-")[2] for place in bases}
        store.prune(lambda tag: "-" in tag and tag.split("-")[1] not in known)
        store.collect()


@dataclass(frozen=True)
class _Making:
    """One image on its way."""

    paths: Paths
    app: AppPaths
    release: Release
    found: Revision
    store: Store

    def image(self, output: Output, *, anew: bool) -> str:
        """Its tag in the store."""
        release, language, own = self.release, self._language(), digest(self.app.name)
        needed = packages.needed(self.found, language)
        bottom = base.ensure(self.paths, self.store, own, needed, output, anew=anew)
        env = f"env-{own}-{digest(self.store.digests()[bottom], release.environment)}"
        if env not in self.store.digests():
            self._layer(bottom, env, self._environment)
        tag = f"app-{own}-v{release.number}"
        self._layer(env, tag, lambda layer: self._code(layer, language))
        self.store.configure(tag, self._configuration(), release.created)
        kept = {env, *(f"app-{own}-v{number}" for number in releases.release_numbers(self.app))}
        self.store.prune(lambda one: f"-{own}-" in one and one not in kept)
        return tag

    def _language(self) -> Pairs:
        """The options of what uWSGI serves."""
        found, kind = self.found, self.found.procfile.serving
        if kind not in UWSGI_SERVED:
            return ()
        virtualenv = str(found.context.environment) if found.environment else ""
        return plugins.options(
            found.context, kind, found.procfile.command(kind),
            virtualenv=virtualenv, data=self.app.data,
        )  # fmt: skip

    def _layer(self, below: str, tag: str, fill: Callable[[Layer], None]) -> None:
        """Make the image `tag` of `below` and one more layer."""
        with files.temporary_folder(self.store.folder.parent, "layer") as folder:
            file = Path(folder, "layer.tar")
            with closing(Layer(file)) as layer:
                fill(layer)
            self.store.add(below, file, tag)

    def _environment(self, layer: Layer) -> None:
        if not self.release.environment:
            return
        folder = self.app.envs / self.release.environment
        shared = _shared(folder, self.paths.root / "cache" / "@runtimes")
        self._folders_above(layer, folder, *shared)
        for place in (folder, *sorted(shared)):
            layer.tree(place)

    def _code(self, layer: Layer, language: Pairs) -> None:
        """The code, and how its processes start: that names the folder of this release."""
        app, name = self.app, self.release.checkout
        own = {str(app.code(name) / path) for path in checkout.untracked_files(app, name)}
        empty = (app.cache, app.data, app.logs)
        self._folders_above(layer, app.code(name), app.live_link, *empty)
        for place in empty:
            layer.folder(place)
        layer.tree(app.code(name), {"__pycache__", ".git", *own})
        layer.link(app.live_link, self.found.context.checkout)
        self._start(layer, language)

    def _folders_above(self, layer: Layer, *places: Path) -> None:
        """From the user's home and piku's root on: the user may write there, as on the server."""
        root = self.paths.root
        above = {one for place in places for one in place.parents if one.is_relative_to(root)}
        for place in sorted({*above, self.paths.home}):
            layer.folder(place)

    def _start(self, layer: Layer, language: Pairs) -> None:
        found, serving = self.found, self.found.procfile.serving
        fixed = revision.process_variables(self.paths, self.app, self.release, found)
        defaults = {"LANG": "C.UTF-8", **found.runtime.env(found.context)}
        for name in {*found.values, *defaults, *_FROM_OUTSIDE}:
            fixed.pop(name, None)
        layer.text(start.FOLDER / "start", start.script(found, fixed, defaults), 0o755)
        if language:
            text = start.served(found, serving, language, plugins.threads(found.values, serving))
            layer.text(start.FOLDER / f"{serving}.ini", text)

    def _configuration(self) -> list[tuple[str, str]]:
        serving = self.found.procfile.serving
        return [
            ("config.user", f"{os.getuid()}:{os.getgid()}"),
            ("config.workingdir", str(self.found.context.checkout)),
            ("config.entrypoint", str(start.FOLDER / "start")),
            ("config.stopsignal", "SIGTERM"),
            ("config.env", f"PIKU_RELEASE={self.release.number}"),
            ("config.env", f"PIKU_COMMIT={self.release.commit}"),
            *([("config.cmd", serving)] if serving else []),
        ]


def _shared(environment: Path, runtimes: Path) -> set[Path]:
    """The fetched versions of a language that programs of an environment are links to, with the
    links on the way."""
    real = (program.resolve() for program in environment.glob("bin/*"))
    inner = (one.relative_to(runtimes).parts[:2] for one in real if one.is_relative_to(runtimes))
    versions = {runtimes.joinpath(*parts) for parts in inner}
    return versions | {link for link in runtimes.glob("*") if link.resolve() in versions}
