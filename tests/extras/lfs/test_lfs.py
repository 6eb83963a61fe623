"""Git LFS with the real client, over the SSH of a push."""

import hashlib
import os
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from piku.extras.lfs import store
from piku.paths import AppName, AppPaths
from tests.e2e.support import App

LINES = ["one", "two", "three"]


def content(word: str) -> bytes:
    """Something larger than one packet, that no line end may change."""
    return f"{word}\r\n".encode() * 20_000


def objects(app: App) -> dict[str, Path]:
    folder = app.server.root / "repos" / app.name / "lfs" / "objects"
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def names(word: str) -> str:
    return hashlib.sha256(content(word)).hexdigest()


@pytest.fixture
def large(new_app: Callable[..., App], server: Sandbox) -> App:
    """A static site with files that git-lfs keeps."""
    app = new_app(
        "large",
        {
            "Procfile": "static: .\n",
            "ENV": "NGINX_SERVER_NAME=large.localhost\n",
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        },
        push=False,
    )
    server.git(app.repository, "remote", "add", "piku", server.remote("large"))
    server.git(app.repository, "lfs", "install", "--local", "--skip-repo")
    return app


def committed(app: App, **words: str) -> str:
    for name, word in words.items():
        (app.repository / f"{name} file.bin").write_bytes(content(word))
    return app.commit("LFS")


def picture(app: App) -> bytes:
    status, _, body = app.server.get(app.host, "/a%20file.bin")
    assert status == 200
    return body


def test_pushed_served_changed_rolled_back_and_removed(large: App, server: Sandbox) -> None:
    committed(large, **dict(zip("abcd", [*LINES, "four"], strict=True)))
    said = large.failed("main", "--no-verify")  # as from a clone without git-lfs's hook
    print(*said, sep="\n")
    [where] = (number for number, line in enumerate(said) if "failed at reading the commit" in line)
    assert "Git LFS pointers whose content is not on this server" in said[where]
    assert [line.strip(" !") for line in said[where - 4 : where]] == [
        "a file.bin", "b file.bin", "c file.bin", "… and 1 more"
    ]  # fmt: skip
    [command] = (re.search("git lfs push .*", line) for line in said if "git lfs push" in line)
    assert command is not None
    server.git(large.repository, *shlex.split(command[0])[1:])
    assert any("Git LFS: 0.5 MB in 4 file(s)" in line for line in large.deployed())
    assert picture(large) == content("one")

    # With git-lfs's own hook, a push is enough.
    committed(large, a="five", d="one")
    pushed = server.git(large.repository, "push", "piku", "main")
    assert "v3 is live" in pushed.stderr and "lock" not in pushed.stderr
    assert picture(large) == content("five")
    assert objects(large).keys() == {names(word) for word in (*LINES, "four", "five")}
    large.does("rollback")
    assert picture(large) == content("one")
    large.does("config:set", "A=1")
    assert picture(large) == content("one")

    # A clone has the content as well.
    copy = server.client / "clone"
    configured = ["-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true"]
    server.git(server.client, *configured, "clone", "--quiet", server.remote("large"), str(copy))
    assert (copy / "a file.bin").read_bytes() == content("five")

    # Once a day, what no commit names is removed, if it is not new.
    app = AppPaths(root=server.root, name=AppName("large"))
    server.git(large.repository, "reset", "--quiet", "--hard", "HEAD~1")
    server.stop_platform()  # its own housekeeping would prune as well
    for path in objects(large).values():
        os.utime(path, (0, 0))
    pruned = app.repo / "lfs" / "pruned"
    os.utime(pruned, (0, 0))
    assert server.piku("housekeeping").returncode == 0
    assert names("five") in objects(large)  # the release before is kept, and can be rolled back to
    assert len(objects(large)) == 5
    stray = store.place(app, "0" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_text("x")
    os.utime(pruned, (0, 0))
    assert server.piku("housekeeping").returncode == 0 and stray.exists()
    os.utime(stray, (0, 0))
    assert server.piku("housekeeping").returncode == 0 and stray.exists()  # pruned today
    os.utime(pruned, (0, time.time() - 90_000))
    assert server.piku("housekeeping").returncode == 0 and not stray.exists()
    server.start_platform()
    large.does("destroy", "--force")
    assert not app.repo.exists()

    # What CI does: the content first, even of an app that is not there yet.
    url = server.remote("large")
    server.git(large.repository, "lfs", "push", url, "HEAD")
    assert names("one") in objects(large)
    assert "v1 is live" in server.git(large.repository, "push", "--no-verify", url, "HEAD").stderr
    assert picture(large) == content("one")
