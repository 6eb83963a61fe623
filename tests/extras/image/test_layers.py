"""What a layer holds, that it is always the same, and which packages an image has."""

from __future__ import annotations

import os
import socket
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from piku.extras.image import packages
from piku.extras.image.layers import Layer
from tests.extras.image.test_start import revision


def layer(place: Path, folder: Path) -> Path:
    with closing(Layer(place)) as made:
        made.folder(Path("/srv/data"))
        made.link(Path("/srv/app"), Path("/srv/v1"))
        made.text(Path("/piku/start"), "#!/bin/sh\n", 0o755)
        made.tree(folder, {"__pycache__", str(folder / "own.db")})
    return place


def app(folder: Path) -> Path:
    (folder / "lib" / "__pycache__").mkdir(parents=True)
    (folder / "lib" / "b.py").write_text("b")
    (folder / "lib" / "__pycache__" / "b.pyc").write_text("compiled")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "latest").symlink_to("run")
    os.link(folder / "run", folder / "same")
    (folder / "own.db").write_text("written while it ran")
    return folder


def test_a_layer_has_the_files_of_the_user_at_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = app(tmp_path / "app")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # the path of a socket must be short
        listener.bind("web.sock")
        made = layer(tmp_path / "layer.tar", folder)
    with tarfile.open(made) as found:
        entries = {f"/{entry.name}": entry for entry in found}
    inner = {path: entry for path, entry in entries.items() if path.startswith(str(folder))}
    names = ("", "/latest", "/lib", "/lib/b.py", "/run", "/same")
    assert list(inner) == [f"{folder}{name}" for name in names]
    assert inner[f"{folder}/run"].mode == 0o755
    assert inner[f"{folder}/latest"].linkname == "run"
    assert entries["/srv/app"].linkname == "/srv/v1"
    owners = {(entry.uid, entry.gid, entry.uname) for entry in entries.values()}
    assert owners == {(os.getuid(), os.getgid(), "")}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    folder = app(tmp_path / "app")
    first = layer(tmp_path / "1.tar", folder).read_bytes()
    (folder / "own.db").unlink()
    (folder / "lib" / "__pycache__" / "other.pyc").write_text("compiled later")
    assert layer(tmp_path / "2.tar", folder).read_bytes() == first
    (folder / "lib" / "b.py").write_text("c")
    assert layer(tmp_path / "3.tar", folder).read_bytes() != first


def test_packages_are_those_of_the_programs_that_run(tmp_path: Path) -> None:
    text = "web: MODE=1 exec python3 -m http.server && nosuchprogram\nworker: openssl rand 5\n"
    found = revision(tmp_path, text, PIKU_IMAGE_PACKAGES="libpq5, ffmpeg")
    needed = packages.needed(found, ())
    assert {"/usr/bin/python3", "/usr/bin/openssl", "libpq5", "ffmpeg"} <= set(needed)
    assert needed == sorted(needed)
    assert {"python3", "openssl", "libpq5", "tini"} <= set(packages.of(needed))
    uwsgi = packages.needed(found, (("plugins", "python311"), ("module", "app")))
    assert "/usr/lib/uwsgi/plugins/python311_plugin.so" in uwsgi
    assert {"uwsgi-core", "uwsgi-plugin-python3"} <= set(packages.of(uwsgi))


@pytest.mark.parametrize("text", ["libpq5;rm", "-o", "Upper", "a b"])
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a Debian package"):
        packages.names(text)


def test_what_no_debian_is_without_is_not_named_so_that_apps_share_a_base() -> None:
    assert packages.of(["/usr/bin/echo", "/usr/bin/env", "/usr/bin/git"]) == packages.of(
        ["/usr/bin/git"]
    )
    assert "git" in packages.of(["/usr/bin/git"])
