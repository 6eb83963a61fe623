"""A server's folders and an app's repository, for tests that need them on disk but nothing running."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from piku.deploy import (
    checkout,
    going_live,
    instances,
    process_plan,
    recovery,
    releases,
    revision,
)  # fmt: skip
from piku.deploy.deployment import Deployment, Progress
from piku.deploy.releases import Live
from piku.operate import server
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths

# Two machines of different speed must agree on what passes.
hypothesis_settings.register_profile("piku", deadline=None, max_examples=100, derandomize=True)
hypothesis_settings.load_profile("piku")

Commit = Callable[..., str]


@pytest.fixture
def paths() -> Iterator[Paths]:
    """A server that was set up, of which nothing runs; in a short path, for the sake of its sockets."""
    with tempfile.TemporaryDirectory(prefix="p") as base:
        found = Paths(root=Path(base, "root"), home=Path(base, "home"))
        server.setup(found)
        yield found


@pytest.fixture
def shop(paths: Paths) -> AppPaths:
    """The paths of an app; `commit` gives it a repository."""
    return paths.app(AppName("shop"))


@pytest.fixture
def commit() -> Commit:
    """A function that commits files to an app's bare repository (made at need), and names the commit.

    Time and author are always the same: equal files make equal commits. A file's text may be bytes;
    a value that begins with "submodule:" is the commit of one, with "link:" the target of a link.
    """

    def make(app: AppPaths, files: Mapping[str, str | bytes], branch: str = "main") -> str:
        if not app.repo.is_dir():
            app.repo.parent.mkdir(parents=True, exist_ok=True)
            init = ["git", "init", "--quiet", "--bare", "--template=", "-b", "main", str(app.repo)]
            subprocess.run(init, check=True)
        parts = [
            f"commit refs/heads/{branch}\ncommitter T <t@t> 1700000000 +0000\ndata 4\ntest\n".encode()
        ]
        parts.append(b"deleteall\n")
        for name, content in files.items():
            if isinstance(content, str) and content.startswith("submodule:"):
                parts.append(f"M 160000 {content.removeprefix('submodule:')} {name}\n".encode())
                continue
            mode = "100644"
            if isinstance(content, str) and content.startswith("link:"):
                mode, content = "120000", content.removeprefix("link:")
            data = content.encode() if isinstance(content, str) else content
            parts.append(
                f"M {mode} inline {name}\ndata {len(data)}\n".encode(errors="surrogateescape")
                + data
                + b"\n"
            )
        subprocess.run(
            ["git", "-C", str(app.repo), "fast-import", "--quiet", "--force"],
            input=b"".join(parts), check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        head = ["git", "-C", str(app.repo), "rev-parse", f"refs/heads/{branch}"]
        return subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()

    return make


@pytest.fixture
def deployment(paths: Paths, commit: Commit) -> Callable[..., Deployment]:
    """A function that brings a release of these files and settings as far as its checkout."""

    def make(
        app: AppPaths,
        files: Mapping[str, str | bytes],
        *,
        counts: Mapping[str, int] | None = None,
        **own: str,
    ) -> Deployment:
        release = releases.new_release(
            app, kind="push", description="test", commit=commit(app, files), by="me", settings=own
        )
        name = f"v{release.number}"
        found = revision.read(paths, app, release.commit, own, checkout=name)
        progress = Progress(app, release)
        release = progress.update(
            runtime=found.runtime.name, environment=found.environment, checkout=name
        )
        recovery.make_folders(app)
        checkout.create(app, name, release.commit)
        return Deployment(
            paths=paths, app=app, live=releases.live(app), release=release, revision=found,
            plan=process_plan.plan(found.procfile, found.values, counts or {}),
            output=Output(io.StringIO()), progress=progress,
        )  # fmt: skip

    return make


@pytest.fixture
def go_live() -> Callable[[Deployment], Live]:
    """A function that commits a release as a deploy does, without starting anything."""

    def make(made: Deployment) -> Live:
        new = going_live.record(made, *instances.create(made))
        releases.commit(made.app, new)
        releases.finish(made.app, made.progress.record, releases.SUCCEEDED)
        return new

    return make
