"""The images of this server: an OCI image layout, changed by umoci and copied by skopeo.

A tag is a name in the layout. umoci writes a layer or a configuration and points a tag at the
result; what no tag leads to is removed by `collect`.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError

_TOOLS = ("umoci", "skopeo", "mmdebstrap", "newuidmap")
_LOOPBACK = ("docker://localhost:", "docker://127.")  # no TLS, as with docker
TIMEOUT, _RARELY = 1800.0, 3600.0  # seconds


def require_tools() -> None:
    """Raise PikuError that says how to install what is missing."""
    if missing := [tool for tool in _TOOLS if not subprocesses.which(tool)]:
        what = f"images need programs that this server lacks: {', '.join(missing)}"
        raise PikuError(what, hint="apt-get install umoci skopeo mmdebstrap uidmap")


class Store:
    """The layout in `folder`, which is made when it is first used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._garbage = folder.with_name("garbage")
        if '"empty"' not in files.read(folder / "index.json"):
            files.remove(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._umoci("init", "--layout", str(folder))
            self._umoci("new", "--image", self.at("empty"))

    def digests(self) -> dict[str, str]:
        """The digest of each tag's image."""
        index = json.loads(files.read(self.folder / "index.json"))
        name = "org.opencontainers.image.ref.name"
        return {one["annotations"][name]: one["digest"] for one in index["manifests"] or []}

    def add(self, tag: str, layer: Path, to: str) -> None:
        """The image `to`, which is that of `tag` with one more layer."""
        # A history would have the time.
        image = ("--no-history", "--image", self.at(tag), "--tag", to)
        self._umoci("raw", "add-layer", *image, str(layer))

    def configure(self, tag: str, options: Sequence[tuple[str, str]], at: float) -> None:
        """Give an image its configuration, and the time that it is of (epoch seconds)."""
        created = datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
        words = [f"--{name}={value}" for name, value in (*options, ("created", created))]
        self._umoci("config", "--no-history", "--image", self.at(tag), *words)

    def prune(self, gone: Callable[[str], bool]) -> None:
        """Remove these tags; their layers are left for `collect`, which reads all there are."""
        for tag in filter(gone, self.digests()):
            self._umoci("rm", "--image", self.at(tag))
            self._garbage.open("a").close()

    def collect(self) -> None:
        """Remove the layers that are left without a tag, if some have been so for long enough."""
        if self._garbage.exists() and time.time() > self._garbage.stat().st_mtime + _RARELY:
            self._umoci("gc", "--layout", str(self.folder))
            self._garbage.unlink()

    def copy(self, tag: str, destination: str) -> None:
        """Copy an image to a registry, another layout or an archive; what is there already is not
        sent again."""
        plain = ["--dest-tls-verify=false"] if destination.startswith(_LOOPBACK) else []
        # The image is our own: there is no signature to ask for.
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet", *plain, f"oci:{self.at(tag)}"]
        try:
            subprocesses.run([*argv, destination], timeout=TIMEOUT)
        except subprocesses.ProgramFailed as error:
            what = f"the image could not be copied to {destination}"
            hint = "skopeo's words are above; the registry's log says whether its disk is full"
            raise PikuError(what, detail=error.detail[-5:], hint=hint) from None

    def at(self, tag: str) -> str:
        return f"{self.folder}:{tag}"

    def _umoci(self, *words: str) -> None:
        subprocesses.run(["umoci", *words], timeout=TIMEOUT)


def digest(*texts: str) -> str:
    """A name for what these texts describe."""
    return hashlib.sha256("\0".join(texts).encode(errors="surrogateescape")).hexdigest()[:16]
