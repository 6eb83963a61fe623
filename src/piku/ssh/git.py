"""git over SSH: the repositories of apps, and the push that deploys.

Specification, "Git Push Deployment Flow".
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

# What deploys is loaded only where it is needed: a push would wait for it twice, here and in the hook. The
# module about the repository needs nothing of it.
from piku import files, locks, subprocesses
from piku.deploy import repository
from piku.errors import PikuError
from piku.paths import SEPARATOR, AppName, AppPaths, Paths

NO_COMMIT = "0" * 40
# Tells the hook where to leave word of how the deploy ended: a post-receive hook's exit code is lost.
RESULT = "PIKU_PUSH_RESULT"

_CONFIG = (
    ("transfer.hideRefs", "refs/piku"),  # our references to kept commits are nobody else's
    ("receive.denyDeleteCurrent", "ignore"),
    ("receive.denyCurrentBranch", "ignore"),
    ("gc.auto", "0"),  # it would run within a push, before the deploy; pruning sees to it
)


def app_from_path(text: str) -> AppName:
    """The app that a git URL names: "app" in host:app, "/app" in ssh://host/app; ".git" may follow it."""
    return AppName.parse(text.removeprefix("/").removesuffix(".git"))


def create_repository(app: AppPaths, command: list[str], environ: dict[str, str]) -> bool:
    """Make the app's bare repository with its hook; returns whether it is new."""
    fresh = not app.repo.is_dir()
    if fresh:
        app.repo.parent.mkdir(parents=True, exist_ok=True)
        with files.temporary_folder(app.repo.parent, app.name) as folder:
            made = Path(folder, "repository")
            subprocesses.run(
                [
                    "git",
                    "init",
                    "--quiet",
                    "--bare",
                    "--template=",
                    "--initial-branch=main",
                    str(made),
                ]
            )
            lines = (line for key, value in _CONFIG for line in _config_line(key, value))
            with (made / "config").open("a") as config:
                config.writelines(lines)
            made.rename(app.repo)
    files.write(app.repo / "hooks" / "post-receive", _hook(app, command, environ), mode=0o755)
    return fresh


def _config_line(key: str, value: str) -> tuple[str, str]:
    section, _, name = key.partition(".")
    return f"[{section}]\n", f"\t{name} = {value}\n"


def _hook(app: AppPaths, command: list[str], environ: dict[str, str]) -> str:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environ.items())
    call = shlex.join([*command, "git-hook", app.name])
    return f"""\
#!/bin/sh
# Written by piku at every push. What was pushed is kept until the end, in case this is killed.
{exports}if [ -w "${RESULT}" ]; then cat >"${RESULT}"; exec <"${RESULT}"; fi
exec {call}
"""


def receive_pack(paths: Paths, app: AppPaths, command: list[str], environ: dict[str, str]) -> int:
    """Take a push. Returns git's exit code, or 1 when the deploy that it set off failed."""
    fresh = create_repository(app, command, environ)
    result = files.temporary_file(paths.root / "releases", f"{app.name}{SEPARATOR}push")
    try:
        with repository.push(app) as handle:
            status = _git_shell("git-receive-pack", app, {RESULT: str(result)}, handle)
        state, updates = _word(result)
        if state == "deploying":
            return _mend(paths, app, updates)
        return status or int(state == "failed")
    finally:
        files.remove(result)
        if fresh and not subprocesses.run(
            ["git", "-C", str(app.repo), "for-each-ref", "--count=1"]
        ):
            _forget_empty(app)


def _forget_empty(app: AppPaths) -> None:
    """Undo the making of a repository into which nothing came."""
    if not app.releases.is_dir():
        files.remove(app.repo)


def _word(result: Path) -> tuple[str, list[list[str]]]:
    """How far the hook came, and with which updates (old, new, ref): the last it left word of."""
    text = files.read(result)
    if not text.startswith("{"):
        # It had only just begun: these are the lines that git told it.
        return ("deploying" if text else ""), [line.split(" ", 2) for line in text.splitlines()]
    left = json.loads(text)
    return left["state"], [[left["old"], left["new"], left["ref"]]]


def _mend(paths: Paths, app: AppPaths, updates: list[list[str]]) -> int:
    """See to what the hook left when it was killed: the deploy came to its end even so, or it failed."""
    from piku.deploy import recovery, releases

    with locks.lock(app.lock, "looking after a deploy") as broken_off:
        recovery.recover(paths, app, broken_off=broken_off)
        live = releases.live(app)
        release = releases.load_release(app, live.release) if live else None
        commits = [new for _, new, _ in updates]
        if release and release.commit in commits:
            return 0
        for old, new, ref in updates:
            put_back(app, ref, old, new)
        newest = next(iter(releases.releases(app)), None)
    step = f" ({newest.reason})" if newest and newest.reason and newest.commit in commits else ""
    serving = f"v{live.release} still runs, as before" if live else "nothing of this app runs yet"
    raise PikuError(
        f"the deploy was killed{step}",
        hint=f"{serving}; the branch was put back: push again to try again",
    )


def upload_pack(app: AppPaths) -> int:
    """Serve a clone or fetch."""
    return _git_shell("git-upload-pack", app, {})


def _git_shell(service: str, app: AppPaths, extra: dict[str, str], *inherited: int) -> int:
    # git-shell takes exactly a single-quoted path, quoted as git's own clients quote it.
    path = str(app.repo).replace("'", "'\\''")
    argument = f"{service} '{path}'"
    program = subprocesses.which("git-shell")
    if program is None:
        raise PikuError("the program 'git-shell' is not installed")
    # git and the hook inherit one end of a pipe: the other tells when the last of them has ended. A
    # client that goes away ends git, while the hook goes on.
    ours, theirs = os.pipe()
    with open(ours, "rb") as running:
        try:
            status = subprocess.run(
                [program, "-c", argument],
                env={**subprocesses.environment(), **extra},
                check=False,
                pass_fds=(theirs, *inherited),
            ).returncode
        finally:
            os.close(theirs)
        running.read()
    return status


# --- branches ------------------------------------------------------------------------------------


def put_back(app: AppPaths, ref: str, old: str, new: str) -> bool:
    """Move a branch back after its deploy failed, unless somebody has moved it on since."""
    wanted = ["-d", ref, new] if old == NO_COMMIT else [ref, old, new]
    return subprocesses.succeeds(["git", "-C", str(app.repo), "update-ref", *wanted])


def refused(app: AppPaths) -> str:
    """The commit of a push that failed, if nothing has come after it; its branch was put back."""
    from piku.deploy import releases

    newest = next(iter(releases.releases(app)), None)
    if newest is None or newest.kind != "push" or newest.outcome != releases.FAILED:
        return ""
    return newest.commit


def put_forward(app: AppPaths, branch: str, commit: str) -> None:
    """Move a branch to a commit whose push was refused, and which is live now."""
    subprocesses.run(["git", "-C", str(app.repo), "update-ref", f"refs/heads/{branch}", commit])


def has_moved_on(app: AppPaths, ref: str, commit: str) -> bool:
    """Whether the branch is at another commit by now."""
    return (
        subprocesses.run(
            ["git", "-C", str(app.repo), "rev-parse", "--quiet", "--verify", ref], check=False
        ).strip()
        != commit
    )


def deploy_branch(paths: Paths, app: AppPaths, pushed: list[str]) -> str:
    """The branch that deploys: as set, else the first one ever pushed."""
    from piku.app import settings
    from piku.deploy import releases

    own = environment_settings(paths, app)
    if chosen := settings.DEPLOY_BRANCH.read(own):
        return chosen
    head = subprocesses.run(["git", "-C", str(app.repo), "symbolic-ref", "--short", "HEAD"]).strip()
    if releases.live(app) is not None or not pushed:
        return head
    first = next((name for name in (head, "main", "master") if name in pushed), pushed[0])
    if not has_branch(app, head) or head in pushed:
        subprocesses.run(
            ["git", "-C", str(app.repo), "symbolic-ref", "HEAD", f"refs/heads/{first}"]
        )
        return first
    return head


def environment_settings(paths: Paths, app: AppPaths) -> dict[str, str]:
    """The layers that hold without a commit: the server's and those of config:set."""
    from piku.deploy import revision

    return revision.layered(paths, "", revision.own_settings(app))


def has_branch(app: AppPaths, branch: str) -> bool:
    return subprocesses.succeeds(
        ["git", "-C", str(app.repo), "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}"]
    )


def tip(app: AppPaths, branch: str) -> str:
    """The commit of a branch; raises PikuError when it was never pushed."""
    if not has_branch(app, branch):
        raise PikuError(f"the branch {branch!r} was not pushed yet", hint=f"git push piku {branch}")
    return subprocesses.run(
        ["git", "-C", str(app.repo), "rev-parse", f"refs/heads/{branch}"]
    ).strip()


def subject(app: AppPaths, commit: str) -> str:
    """The first line of a commit's message."""
    return subprocesses.run(
        ["git", "-C", str(app.repo), "show", "--no-patch", "--format=%s", commit]
    ).strip()[:60]
