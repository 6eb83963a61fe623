"""The images of this server: an OCI image layout, changed by umoci and copied by skopeo.

A tag is a name in the layout. umoci writes a layer or a configuration and points a tag at the
result; what no tag leads to is removed by `prune`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError

_TOOLS = ("umoci", "skopeo", "mmdebstrap", "newuidmap")
_LOOPBACK = ("docker://localhost:", "docker://127.")  # no TLS, as with docker
_TIMEOUT = 1800.0  # seconds


def require_tools() -> None:
    """Raise PikuError that says how to install what is missing."""
    if missing := [tool for tool in _TOOLS if not subprocesses.which(tool)]:
        what = f"images need programs that this server lacks: {', '.join(missing)}"
        raise PikuError(what, hint="apt-get install umoci skopeo mmdebstrap uidmap")


class Store:
    """The layout in `folder`, which is made when it is first used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "index.json").exists():
            files.remove(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._umoci("init", "--layout", str(folder))

    def digests(self) -> dict[str, str]:
        """The digest of each tag's image."""
        index = json.loads(files.read(self.folder / "index.json"))
        name = "org.opencontainers.image.ref.name"
        return {one["annotations"][name]: one["digest"] for one in index["manifests"] or []}

    def new(self, tag: str, layer: Path) -> None:
        """The image `tag`, of one layer."""
        self.prune(lambda one: one == "empty")
        self._umoci("new", "--image", self.at("empty"))
        self.add("empty", layer, tag)

    def add(self, tag: str, layer: Path, to: str) -> None:
        """The image `to`, which is that of `tag` with one more layer."""
        # A history would have the time.
        image = ("--no-history", "--image", self.at(tag), "--tag", to)
        self._umoci("raw", "add-layer", *image, str(layer))

    def configure(self, tag: str, options: Sequence[tuple[str, str]], at: float) -> None:
        """Give an image its configuration, and the time that it is of (epoch seconds)."""
        time = datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
        words = [f"--{name}={value}" for name, value in (*options, ("created", time))]
        self._umoci("config", "--no-history", "--image", self.at(tag), *words)

    def prune(self, gone: Callable[[str], bool]) -> None:
        """Remove these tags, and the layers that are left without one."""
        for tag in (tags := [tag for tag in self.digests() if gone(tag)]):
            self._umoci("rm", "--image", self.at(tag))
        if tags:
            self._umoci("gc", "--layout", str(self.folder))

    def copy(self, tag: str, destination: str) -> None:
        """Copy an image to a registry, another layout or an archive; what is there already is not
        sent again."""
        plain = ["--dest-tls-verify=false"] if destination.startswith(_LOOPBACK) else []
        # The image is our own: there is no signature to ask for.
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet", *plain, f"oci:{self.at(tag)}"]
        try:
            subprocesses.run([*argv, destination], timeout=_TIMEOUT)
        except subprocesses.ProgramFailed as error:
            what = f"the image could not be copied to {destination}"
            hint = "skopeo's words are above; nothing else has changed"
            raise PikuError(what, detail=error.detail[-5:], hint=hint) from None

    def at(self, tag: str) -> str:
        return f"{self.folder}:{tag}"

    def _umoci(self, *words: str) -> None:
        subprocesses.run(["umoci", *words], timeout=_TIMEOUT)
