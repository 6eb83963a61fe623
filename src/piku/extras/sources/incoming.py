"""The way of a commit from outside into the app: a repository that exists for as long as it takes,
then the app's own, then a deploy as of a push."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from piku import dotenv, files, subprocesses
from piku.cli.common import self_argv
from piku.deploy import deploy as runbook
from piku.extra import hooks
from piku.operate import server
from piku.output import Output
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.ssh import push

FETCHED = "refs/piku/fetched"
_BRANCH = "refs/heads/fetched"
_NO_COMMIT = "0" * 40


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A commit, whole in the repository that it came to; `branch` as its source calls it."""

    repository: Path
    commit: str
    branch: str = ""


@contextlib.contextmanager
def repository(paths: Paths, app: AppPaths) -> Iterator[Path]:
    """An empty repository that knows what the app's own has. What fails leaves nothing behind."""
    if not (paths.root / "releases").is_dir():
        server.setup(paths, self_argv())
    with files.temporary_folder(paths.root / "releases", f"{app.name}{SEPARATOR}incoming") as name:
        subprocesses.run(["git", "init", "--quiet", "--bare", "--template=", name])
        if app.repo.is_dir():
            files.write(Path(name, "objects/info/alternates"), f"{app.repo}/objects\n")
            if (app.repo / "shallow").exists():
                shutil.copy(app.repo / "shallow", name)
        yield Path(name)


def arrived(repository: Path, branch: str = "") -> Incoming:
    """What FETCHED names; a tag may be an object of its own."""
    run = ["git", "-C", str(repository)]
    commit = subprocesses.run([*run, "rev-parse", "--verify", f"{FETCHED}^{{commit}}"]).strip()
    subprocesses.run([*run, "update-ref", _BRANCH, commit])
    return Incoming(repository=repository, commit=commit, branch=branch)


def deploy(
    paths: Paths, app: AppPaths, found: Incoming, by: str, output: Output, *,
    allow_untracked: bool = False, changed: bool = False,
) -> None:  # fmt: skip
    """Deploy the commit; when it is live, it is the tip of the deploy branch. The caller holds the
    app's lock. With `changed` a commit is left out that changes nothing of the app, as of a push.
    """
    run = ["git", "-C", str(app.repo)]
    fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow"]
    subprocesses.run([*run, *fetch, str(found.repository), _BRANCH])
    ref = f"refs/heads/{push.deploying(paths, app, [found.branch or 'main'])}"
    before = push.commit_of(app, ref) or _NO_COMMIT
    request = runbook.Request(
        kind="push", description=push.subject(app, found.commit), commit=found.commit, by=by,
        own=dotenv.load(app.settings), allow_untracked=allow_untracked,
    )  # fmt: skip
    reasons = (hook(paths, app, found.commit) for hook in hooks("unchanged")) if changed else ()
    if reason := next(filter(None, reasons), ""):
        output.step(reason)
    else:
        runbook.deploy(paths, app, request, output)
    # A push that came meanwhile has moved the branch, and is deployed next.
    subprocesses.succeeds([*run, "update-ref", ref, found.commit, before])
