"""git over SSH: the repositories of apps, and the push that deploys.

Specification, "Git Push Deployment Flow". git runs the hook, the hook deploys; git drops its exit
code, so it leaves the result in a file for `receive_pack`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

# What deploys is loaded in the hook: a push would wait for it twice.
from piku import files, subprocesses
from piku.deploy import checkout
from piku.errors import PikuError
from piku.output import Output
from piku.paths import SEPARATOR, TEMPLATES, AppName, AppPaths, Paths

# The file for the result: first the updates, and when they are dealt with, FAILED or DONE.
RESULT = "PIKU_PUSH_RESULT"
FAILED, DONE = "failed", "done"


def app_from_path(text: str) -> AppName:
    """The app that a git URL names: "app" in host:app, "/app" in ssh://host/app, or "app.git"."""
    return AppName.parse(text.removeprefix("/").removesuffix(".git"))


def create_repository(app: AppPaths, command: list[str], environ: dict[str, str]) -> bool:
    """Make the app's bare repository, and its hook anew; returns whether the repository is new."""
    fresh = not app.repo.is_dir()
    if fresh:
        with files.temporary_folder(app.repo.parent, app.name) as folder:
            place = Path(folder, "repository")
            init = ["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main"]
            subprocesses.run([*init, str(place)])
            with (place / "config").open("a") as config:
                config.write((TEMPLATES / "repository.config").read_text())
            place.rename(app.repo)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environ.items())
    hook = f"""\
#!/bin/sh
# Written by piku at every push. The updates are kept, in case this is killed.
{exports}if [ -w "${RESULT}" ]; then cat >"${RESULT}"; exec <"${RESULT}"; fi
exec {shlex.join([*command, "git-hook", app.name])}
"""
    files.write(app.repo / "hooks" / "post-receive", hook, mode=0o755)
    update = (TEMPLATES / "update-hook.sh").read_text()
    files.write(app.repo / "hooks" / "update", update, mode=0o755)
    return fresh


def receive_pack(paths: Paths, app: AppPaths, command: list[str], environ: dict[str, str]) -> int:
    """Take a push. Returns git's exit code, or 1 when the deploy that it started failed."""
    checkout.remove_stale_locks(app.repo)
    fresh = create_repository(app, command, environ)
    result = files.temporary_file(paths.root / "releases", f"{app.name}{SEPARATOR}push")
    try:
        status = _git_shell("git-receive-pack", app, {RESULT: str(result)})
        left = files.read(result)
        if not left and not fresh and status == 0:
            _report_last(app)
        if left and left not in (FAILED, DONE):
            _finish_killed(paths, app, left.splitlines())
        return status or int(left == FAILED)
    finally:
        files.remove(result)
        references = ["git", "-C", str(app.repo), "for-each-ref", "--count=1"]
        if fresh and not app.releases.is_dir() and not subprocesses.run(references):
            files.remove(app.repo)  # nothing came


def note_result(status: int) -> None:
    """Leave the hook's exit code for `receive_pack`, if that waits for it."""
    result = Path(os.environ.get(RESULT, ""))
    if result.is_file():
        result.write_text(FAILED if status else DONE)


def _report_last(app: AppPaths) -> None:
    """Report the state of the last push when the same commit is pushed again: its own client may
    have disconnected."""
    from piku.deploy import releases

    if newest := next(iter(releases.releases(app)), None):
        since = time.strftime("%H:%M:%S", time.localtime(newest.created))
        live = releases.live(app)
        is_live = live is not None and live.release == newest.number
        state = f"being deployed, at: {newest.step}" if newest.outcome == releases.BUILDING else ""
        state = state or ("live" if is_live else f"not live: {newest.reason or newest.outcome}")
        Output(sys.stderr).step(f"{newest.title} of {since} is {state}")


def _finish_killed(paths: Paths, app: AppPaths, lines: list[str]) -> None:
    """Recover from a hook that was killed. Raises PikuError unless its deploy went live first."""
    from piku.deploy import deploy, recovery, releases
    from piku.ssh import push

    updates = push.parse(lines)
    commits = [update.new for update in updates]
    with deploy.locked(paths, app, "recovering a push", Output(sys.stderr)):
        live = releases.live(app)
        if live and releases.load_release(app, live.release).commit in commits:
            return
        for update in updates:
            push.reset(app, update)
        newest = next(iter(releases.releases(app)), None)
    step = f" ({newest.reason})" if newest and newest.reason and newest.commit in commits else ""
    hint = f"{recovery.what_runs(paths, app)}\nThe branch was put back: push again to retry."
    raise PikuError(f"the deploy was killed{step}", hint=hint)


def upload_pack(app: AppPaths) -> int:
    """Serve a clone or fetch."""
    return _git_shell("git-upload-pack", app, {})


def _git_shell(service: str, app: AppPaths, environ: dict[str, str]) -> int:
    # git-shell takes a single-quoted path, quoted as git's own clients quote it.
    path = str(app.repo).replace("'", "'\\''")
    # git and the hook inherit one end of a pipe; the other one closes when the last of them has
    # ended. A client that goes away ends git, while the hook goes on.
    ours, theirs = os.pipe()
    with open(ours, "rb") as running:
        try:
            status = subprocess.run(
                ["git-shell", "-c", f"{service} '{path}'"],
                env={**subprocesses.environment(), **environ},
                check=False,
                pass_fds=(theirs,),
            ).returncode
        finally:
            os.close(theirs)
        running.read()
    return status
