"""git over SSH: the repositories of apps, and the push that deploys.

Specification, "Git Push Deployment Flow". git runs the hook, which hands the updates over to the
process that takes the push, and prints what that says.
"""

import itertools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from piku import files, locks, subprocesses
from piku.deploy import checkout
from piku.errors import PikuError
from piku.output import Output
from piku.paths import TEMPLATES, AppName, AppPaths, Paths

Deploy = Callable[[list[str]], int]


def app_from_path(text: str) -> AppName:
    """The app that a git URL names: "app" in host:app, "/app" in ssh://host/app, or "app.git"."""
    return AppName.parse(text.removeprefix("/").removesuffix(".git"))


def create_repository(app: AppPaths, command: list[str], environ: dict[str, str]) -> bool:
    """Make the app's bare repository, and its hook anew; returns whether the repository is new."""
    with locks.lock(app.root / "uwsgi" / "repositories.lock", ""):
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
# Written by piku at every push. What takes a push over SSH deploys it as well; its output is opened
# first: opening a pipe that nobody writes to any more would wait for ever.
if [ -p "/proc/self/fd/$PIKU_UPDATES" ]; then
    updates=$(cat)
    exec <"/proc/self/fd/$PIKU_OUTPUT"
    printf '%s\\n\\n' "$updates" >"/proc/self/fd/$PIKU_UPDATES"
    exec cat
fi
{exports}exec {shlex.join([*command, "git-hook", app.name])}
"""
    files.write(app.repo / "hooks" / "post-receive", hook, mode=0o755)
    update = (TEMPLATES / "update-hook.sh").read_text()
    files.write(app.repo / "hooks" / "update", update, mode=0o755)
    return fresh


def receive_pack(
    paths: Paths, app: AppPaths, command: list[str], environ: dict[str, str], deploy: Deploy
) -> int:
    """Take a push. Returns git's exit code, or 1 when the deploy that it started failed.

    `deploy` gets the lines of the hook's input, and returns 0 or 1. It runs in a copy of this
    process, so that we are left to recover from one that is killed.
    """
    checkout.remove_stale_locks(app.repo)
    fresh = create_repository(app, command, environ)
    updates, handing_over = os.pipe()
    output, saying = os.pipe()
    ends = {"PIKU_UPDATES": str(handing_over), "PIKU_OUTPUT": str(output)}
    try:
        with git_shell("git-receive-pack", app, ends, (handing_over, output)) as git:
            os.close(handing_over)
            os.close(output)
            import_module("piku.ssh.push")  # loads while git takes what comes
            with open(updates) as coming:
                lines = list(itertools.takewhile(str.strip, coming))
            # A client that goes away ends git, while the deploy goes on.
            ended = subprocesses.fork(lambda: deploy(lines), saying) if lines else 0
        if not lines and not fresh and git.returncode == 0:
            _report_last(app)
        if ended not in (0, 1):
            _finish_killed(paths, app, lines)
        return git.returncode or int(ended == 1)
    finally:
        references = ["git", "-C", str(app.repo), "for-each-ref", "--count=1"]
        if fresh and not app.releases.is_dir() and not subprocesses.run(references):
            files.remove(app.repo)  # nothing came


def _report_last(app: AppPaths) -> None:
    """Report the state of the last push when the same commit is pushed again: its own client may
    have disconnected."""
    from piku.deploy import releases

    if newest := releases.newest(app):
        since = time.strftime("%H:%M:%S", time.localtime(newest.created))
        live = releases.live(app)
        is_live = live is not None and live.release == newest.number
        state = f"being deployed, at: {newest.step}" if newest.outcome == releases.BUILDING else ""
        state = state or ("live" if is_live else f"not live: {newest.reason or newest.outcome}")
        Output(sys.stderr).step(f"{newest.title} of {since} is {state}")


def _finish_killed(paths: Paths, app: AppPaths, lines: list[str]) -> None:
    """Recover from a deploy that was killed. Raises PikuError unless it went live first."""
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
        newest = releases.newest(app)
    step = f" ({newest.reason})" if newest and newest.reason and newest.commit in commits else ""
    hint = f"{recovery.what_runs(paths, app)}\nThe branch was put back: push again to retry."
    raise PikuError(f"the deploy was killed{step}", hint=hint)


def git_shell(
    service: str, app: AppPaths, environ: Mapping[str, str] = {}, handles: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    # git-shell takes a single-quoted path, quoted as git's own clients quote it.
    path = str(app.repo).replace("'", "'\\''")
    return subprocess.Popen(
        ["git-shell", "-c", f"{service} '{path}'"],
        env={**subprocesses.environment(), **environ},
        pass_fds=handles,
    )
