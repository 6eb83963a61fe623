"""A push: which of its branches deploys, the deploy, and moving a branch back after a failure."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from piku import dotenv, files, subprocesses
from piku.app import settings
from piku.deploy import deploy, releases, revision
from piku.errors import PikuError
from piku.extra import hooks
from piku.output import Output
from piku.paths import AppPaths, Paths

_NO_COMMIT = "0" * 40
_HEADS = "refs/heads/"


@dataclass(frozen=True, kw_only=True)
class Update:
    """A reference that a push moved: one line of a post-receive hook's input (githooks(5))."""

    old: str
    new: str
    ref: str

    @property
    def branch(self) -> str:
        """The name of the branch; empty for a tag."""
        return self.ref.removeprefix(_HEADS) if self.ref.startswith(_HEADS) else ""

    @property
    def deletes(self) -> bool:
        return self.new == _NO_COMMIT


def parse(lines: Iterable[str]) -> list[Update]:
    words = (line.rstrip("\n").split(" ", 2) for line in lines)
    return [Update(old=w[0], new=w[1], ref=w[2]) for w in words if len(w) == 3]


# --- the hook ------------------------------------------------------------------------------------


def handle(paths: Paths, app: AppPaths, lines: Iterable[str], by: str, output: Output) -> int:
    """Deploy what was pushed to the deploy branch; returns 1 when that failed."""
    updates = parse(lines)
    pushed = [update.branch for update in updates if update.branch and not update.deletes]
    status = 0
    for update in updates:
        try:
            main = deploying(paths, app, pushed)
            if update.branch == main:
                _deploy(paths, app, update, by, output)
            else:
                _report_stored(app, update, main, output)
        except PikuError as error:
            if not error.shown:
                output.error(error)
            if reset(app, update):
                output.warn("The branch was put back: fix it and push again.")
                output.warn("Pushing the same commit retries.")
            status = 1
    return status


def _deploy(paths: Paths, app: AppPaths, update: Update, by: str, output: Output) -> None:
    if update.deletes:
        output.step(f"Branch {update.branch!r} is removed; the live release stays live")
        return
    with deploy.locked(paths, app, f"a push by {by}", output):
        if not releases.release_numbers(app):
            output.step(f"{app.name} is a new app")
            if close := paths.similar(app.name):  # in case that was meant
                what = f"Did you mean {close!r}? Then: piku destroy {app.name}, and push there"
                output.warn(what)
        form = "--format=%(objectname) %(subject)"
        commit, _, subject = git(app, "for-each-ref", form, update.ref).partition(" ")
        if commit != update.new:
            output.step(f"{update.new[:8]} is not deployed: a later push replaces it")
            return
        reasons = (hook(paths, app, update.new) for hook in hooks("unchanged"))
        if reason := next(filter(None, reasons), ""):
            output.step(reason)
            return
        request = deploy.Request(
            kind="push", description=subject[:60], commit=update.new, by=by,
            own=dotenv.load(app.settings),
        )  # fmt: skip
        deploy.deploy(paths, app, request, output)


def _report_stored(app: AppPaths, update: Update, main: str, output: Output) -> None:
    kind, _, name = update.ref.removeprefix("refs/").partition("/")
    what = f"{'branch' if update.branch else kind.removesuffix('s')} {name!r}"
    done = "removed" if update.deletes else "stored"
    output.step(f"{what} is {done}, not deployed: {app.name} deploys {main!r}")
    if update.deletes:
        return
    source = name if update.branch else f"{name}^{{}}"  # a branch holds no annotated tag
    output.detail(f"Deploy it with: git push REMOTE {source}:refs/heads/{main}")
    if update.branch:
        output.detail(f"or for good: piku config:set {app.name} PIKU_DEPLOY_BRANCH={name}")
        output.detail(f"and then: piku deploy {app.name}")


# --- branches ------------------------------------------------------------------------------------


def deploying(paths: Paths, app: AppPaths, pushed: Sequence[str] = ()) -> str:
    """The branch that deploys: PIKU_DEPLOY_BRANCH, else the first one ever pushed."""
    values = revision.layered(paths, dotenv.load(app.settings))
    if chosen := settings.DEPLOY_BRANCH.read(values):
        return chosen
    head = files.read(app.repo / "HEAD").strip().removeprefix(f"ref: {_HEADS}")
    known = head in pushed or commit_of(app, _HEADS + head) or releases.live(app)
    if known or not pushed:
        return head
    first = next((name for name in ("main", "master") if name in pushed), pushed[0])
    git(app, "symbolic-ref", "HEAD", _HEADS + first)
    return first


def commit_of(app: AppPaths, ref: str) -> str:
    """The commit of a reference; empty when there is none."""
    return git(app, "for-each-ref", "--format=%(objectname)", ref)


def tip(app: AppPaths, branch: str) -> str:
    """The commit of a branch; raises PikuError when it was never pushed."""
    if not (commit := commit_of(app, _HEADS + branch)):
        hint = f"git push piku {branch}"
        raise PikuError(f"the branch {branch!r} has not been pushed", hint=hint)
    return commit


def reset(app: AppPaths, update: Update) -> bool:
    """Move a branch back after its deploy failed; False if somebody has moved it since, or what
    failed came after its commit went live."""
    newest, live = releases.newest(app), None
    with contextlib.suppress(PikuError):  # a damaged record: then nothing went live either
        live = releases.live(app)
    if newest and live and (newest.number, newest.commit) == (live.release, update.new):
        return False
    target = ["-d", update.ref] if update.old == _NO_COMMIT else [update.ref, update.old]
    return subprocesses.succeeds(["git", "-C", str(app.repo), "update-ref", *target, update.new])


def failed_commit(app: AppPaths) -> str:
    """The commit of the last push if that failed and nothing came after it; else empty."""
    newest = releases.newest(app)
    if newest is None or newest.kind != "push" or newest.outcome != releases.FAILED:
        return ""
    return newest.commit


def subject(app: AppPaths, commit: str) -> str:
    """The first line of a commit's message."""
    return git(app, "show", "--no-patch", "--format=%s", commit)[:60]


def git(app: AppPaths, *words: str) -> str:
    return subprocesses.run(["git", "-C", str(app.repo), *words]).strip()
