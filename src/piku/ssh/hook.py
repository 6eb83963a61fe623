"""The post-receive hook: from "this was pushed" to a deploy of the right branch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from piku.deploy import deploy, revision
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.ssh import branches, git
from piku.ssh.branches import Update


def handle(paths: Paths, app: AppPaths, lines: Iterable[str], by: str, output: Output) -> int:
    """Deploy what was pushed to the deploy branch; returns 1 when that failed."""
    updates = branches.parse(lines)
    pushed = [update.branch for update in updates if update.branch and not update.deletes]
    status = 0
    for update in updates:
        try:
            if update.branch == branches.deploying(paths, app, pushed):
                _deploy(paths, app, update, by, output)
            else:
                _store(paths, app, update, output)
        except PikuError as error:
            if not error.shown:
                output.error(error)
            if branches.reset(app, update):
                output.warn("The branch was put back: fix it and push again.")
                output.warn("Pushing the same commit retries.")
            status = 1
    result = os.environ.get(git.RESULT, "")
    if os.path.exists(result):
        Path(result).write_text(git.FAILED if status else "")
    return status


def _deploy(paths: Paths, app: AppPaths, update: Update, by: str, output: Output) -> None:
    if update.deletes:
        output.step(f"Branch {update.branch!r} is removed; the live release stays live")
        return
    with deploy.locked(paths, app, f"a push by {by}", output):
        if branches.commit_of(app, update.ref) != update.new:
            output.step(f"{update.new[:8]} is not deployed: a later push replaces it")
            return
        request = deploy.Request(
            kind="push", description=branches.subject(app, update.new), commit=update.new, by=by,
            own=revision.own_settings(app),
        )  # fmt: skip
        deploy.deploy(paths, app, request, output)


def _store(paths: Paths, app: AppPaths, update: Update, output: Output) -> None:
    """Say that this branch or tag does not deploy, and how it would."""
    main = branches.deploying(paths, app)
    what = f"branch {update.branch!r}" if update.branch else update.ref
    done = "removed" if update.deletes else "stored"
    output.step(f"{what} is {done}, not deployed: {app.name} deploys {main!r}")
    if update.branch and not update.deletes:
        output.detail(f"Deploy it with: git push REMOTE {update.branch}:{main}")
        always = f"piku config:set {app.name} PIKU_DEPLOY_BRANCH={update.branch}"
        output.detail(f"or for good: {always}")
        output.detail(f"and then: piku deploy {app.name}")
