"""The post-receive hook: from "this was pushed" to a deploy of the right branch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piku import files
from piku.deploy import deploy, revision
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.ssh import git


@dataclass(frozen=True)
class Update:
    """One line of a post-receive hook's input (githooks(5))."""

    old: str
    new: str
    ref: str

    @property
    def branch(self) -> str:
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""

    @property
    def deletes(self) -> bool:
        return set(self.new) == {"0"}


def parse(lines: Iterable[str]) -> list[Update]:
    return [
        Update(*line.split(" ", 2))
        for line in (raw.rstrip("\n") for raw in lines)
        if line.count(" ") >= 2
    ]


def handle(paths: Paths, app: AppPaths, lines: Iterable[str], by: str, output: Output) -> int:
    """Deploy what was pushed to the deploy branch; returns 1 when that failed."""
    # A client that goes away must not end a deploy.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    updates = parse(lines)
    try:
        status = _handle(paths, app, updates, by, output)
    except PikuError as error:
        # What the server itself has wrong is no reason to keep a commit that is not deployed.
        output.error(error)
        for update in updates:
            git.put_back(app, update.ref, update.old, update.new)
        status = 1
    for update in updates[-1:]:
        _leave_word(update, "failed" if status else "done")
    return status


def _handle(paths: Paths, app: AppPaths, updates: list[Update], by: str, output: Output) -> int:
    deploying = git.deploy_branch(
        paths, app, [u.branch for u in updates if u.branch and not u.deletes]
    )
    status = 0
    for update in updates:
        if update.branch != deploying:
            what = f"branch {update.branch!r}" if update.branch else update.ref
            done = "removed" if update.deletes else "stored"
            output.step(f"{what} is {done}, not deployed: {app.name} deploys {deploying!r}")
            if update.branch and not update.deletes:
                output.detail(f"Deploy it with: git push REMOTE {update.branch}:{deploying}")
                output.detail(
                    f"or for good: piku config:set {app.name} PIKU_DEPLOY_BRANCH={update.branch}"
                )
                output.detail(f"and then: piku deploy {app.name}")
        elif update.deletes:
            output.step(f"Branch {deploying!r} is removed; what is live stays live")
        else:
            status |= _deploy(paths, app, update, by, output)
    return status


def _deploy(paths: Paths, app: AppPaths, update: Update, by: str, output: Output) -> int:
    _leave_word(update, "deploying")
    try:
        with deploy.locked(paths, app, f"a push by {by}", output):
            if git.has_moved_on(app, update.ref, update.new):
                output.step(f"{update.new[:8]} is not deployed: a later push has taken its place")
                return 0
            request = deploy.Request(
                kind="push", description=git.subject(app, update.new), commit=update.new, by=by,
                own=revision.own_settings(app),
            )  # fmt: skip
            deploy.deploy(paths, app, request, output)
    except PikuError:
        if git.put_back(app, update.ref, update.old, update.new):
            output.warn(
                "The branch was put back: mend it and push again, or push again to try again"
            )
        return 1
    except BaseException:
        git.put_back(app, update.ref, update.old, update.new)
        _leave_word(update, "failed")
        raise
    return 0


def _leave_word(update: Update, state: str) -> None:
    """Tell the command that sshd runs how it went, for the exit code of `git push`."""
    place = os.environ.get(git.RESULT)
    if place and Path(place).exists():
        files.write_json(
            Path(place), {"state": state, "ref": update.ref, "old": update.old, "new": update.new}
        )
