"""The flags of `piku deploy`, and the commands for an app's source."""

import contextlib
import os
import sys
from io import BufferedReader

import click

from piku import files, locks, records, subprocesses
from piku.cli.common import (
    app_argument,
    caller,
    changing,
    make,
    new_app_argument,
    pass_paths,
    with_flag,
)
from piku.deploy import releases
from piku.errors import PikuError
from piku.extras.sources import source
from piku.output import Output
from piku.paths import AppPaths, Paths


def with_flags(deploy: click.Command) -> click.Command:
    """`piku deploy` with --from and --archive."""
    what = "Deploy a branch, tag or commit of another repository, over HTTPS or SSH."
    deploy = with_flag(deploy, click.Option(["--from"], metavar="URL[#REF]", help=what), from_)
    what = "Deploy the files of a tar or tar.gz; - reads it from standard input."
    return with_flag(deploy, click.Option(["--archive"], metavar="FILE|-", help=what), archive)


@pass_paths
def from_(
    paths: Paths, url: str, /, app: AppPaths, allow_untracked: bool, **_others: object
) -> None:
    """Fetch from another repository, and deploy it."""
    from piku.extras.sources import fetching, incoming

    wanted, output = source.parse(url), Output(sys.stdout)
    output.step(f"Fetching {wanted}")
    with incoming.repository(paths, app) as repository:
        found = fetching.fetch(paths, app, wanted, repository, output.detail)
        make(paths, app, asked=True)
        with changing(paths, app, f"a deploy from {wanted.url}") as output:
            incoming.deploy(paths, app, found, caller(), output, allow_untracked=allow_untracked)
            kept = source.Source(url=wanted.url, ref=found.branch or wanted.ref)
            records.save(source.record(app), kept)
            output.detail(f"Deploy later changes with: piku pull {app.name}")


@pass_paths
def archive(
    paths: Paths, file: str, /, app: AppPaths, allow_untracked: bool, **_others: object
) -> None:
    """Make a commit of an archive, and deploy it."""
    from piku.extras.sources import archive, incoming
    from piku.ssh import push

    with incoming.repository(paths, app) as repository, _opened(file) as stream:
        exists = app.repo.is_dir()
        branch = push.deploying(paths, app) if exists else ""
        parent = push.commit_of(app, f"refs/heads/{branch}") if exists else ""
        found = archive.commit(repository, stream, parent, caller().split()[0])
        make(paths, app, asked=True)
        with changing(paths, app, "a deploy of an archive") as output:
            incoming.deploy(paths, app, found, caller(), output, allow_untracked=allow_untracked)


def _opened(file: str) -> contextlib.AbstractContextManager[BufferedReader]:
    if file != "-" and os.environ.get("PIKU_ROLE"):
        hint = "send it: --archive - < FILE"
        raise PikuError("a key with a role deploys no file of the server", hint=hint)
    if file != "-":
        try:
            return open(file, "rb")
        except OSError as error:
            hint = "from another machine, send it: --archive - < FILE"
            raise PikuError(f"{file}: {error.strerror}", hint=hint) from None
    if os.isatty(0):
        hint = "for example: tar -cz . | ssh piku@server deploy APP --archive -"
        raise PikuError("'-' reads an archive from standard input", hint=hint, code=2)
    return open(0, "rb", closefd=False)


@click.command()
@app_argument
@click.option("--webhook", "is_webhook", is_flag=True, hidden=True)
@pass_paths
def pull(paths: Paths, app: AppPaths, is_webhook: bool) -> None:
    """Deploy what is new in the app's source repository (deploy --from)."""
    from piku.extras.sources import fetching, incoming

    wanted, by = source.of(app), "a webhook" if is_webhook else caller()
    waiting = app.envs / "pull.lock"
    with contextlib.ExitStack() as both, contextlib.ExitStack() as first:
        try:
            # Who waits already has not fetched yet: what is new for us is in it.
            first.enter_context(locks.lock(waiting, "waiting to pull", patient=False))
        except locks.LockHeld:
            click.echo("-----> Another pull is about to fetch the same")
            return
        output = both.enter_context(changing(paths, app, f"a pull by {by}"))
        first.close()
        repository = both.enter_context(incoming.repository(paths, app))
        output.step(f"Fetching {wanted}, by {by}")
        found = fetching.fetch(paths, app, wanted, repository, output.detail)
        live = releases.live(app)
        if live and releases.load_release(app, live.release).commit == found.commit:
            output.step(f"Nothing new: {found.commit[:8]} is live")
            return
        incoming.deploy(paths, app, found, by, output, changed=True)


@click.command("deploy-key")
@new_app_argument
def deploy_key(app: AppPaths) -> None:
    """Print the public key with which an app is fetched over SSH."""
    place = source.key(app)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"piku-{app.name}", "-f"]
        subprocesses.run([*make, str(place)])
    click.echo(files.read(place.with_suffix(".pub")).strip())
    said = Output(sys.stderr)
    said.detail("Add it to the repository, with read access only:")
    said.detail("GitHub: Settings, Deploy keys. GitLab: Settings, Repository, Deploy keys.")
    said.detail(f"Then: piku deploy {app.name} --from git@HOST:PATH")
