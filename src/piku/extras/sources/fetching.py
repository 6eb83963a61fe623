"""Fetching a commit from a source, with git."""

import shlex
from collections.abc import Callable
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError
from piku.extras.sources import incoming, source
from piku.extras.sources.incoming import Incoming
from piku.extras.sources.source import Source
from piku.paths import AppPaths, Paths

_PATIENCE = 900.0  # seconds
_TRUSTED = "Permanently added"  # ssh, of a host that it did not know


def fetch(
    paths: Paths, app: AppPaths, wanted: Source, repository: Path, say: Callable[[str], None]
) -> Incoming:
    """Fetch the commit that a source names; raises PikuError when that fails."""
    slow = ("-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=60")
    git = ["git", "-C", str(repository), *slow]
    said = ""
    try:
        said = _run([*git, "ls-remote", "--symref", "--", wanted.url, *_names(wanted)], paths, app)
        ref = _chosen(said, wanted)
        update = ["fetch", "--quiet", "--no-tags", "--update-shallow", "--", wanted.url]
        _run([*git, *update, f"+{ref}:{incoming.FETCHED}"], paths, app)
    except subprocesses.ProgramFailed as error:
        said = error.output
        raise _explained(app, wanted, error) from None
    finally:
        if _TRUSTED in said:
            say(f"{wanted.host} was not known here: its key is trusted from now on")
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
    return incoming.arrived(repository, branch)


def _names(wanted: Source) -> list[str]:
    if not wanted.ref:
        return ["HEAD"]
    return [f"refs/heads/{wanted.ref}", f"refs/tags/{wanted.ref}"]


def _chosen(listing: str, wanted: Source) -> str:
    """The full name of what to fetch: a branch, else a tag, else what may be a commit."""
    for line in listing.splitlines():
        if line.startswith("ref: refs/heads/") and line.endswith("\tHEAD"):
            return line.split()[1]
    listed = {line.partition("\t")[2] for line in listing.splitlines()}
    found = [name for name in _names(wanted) if name in listed]
    if not found and not set(wanted.ref.lower()) <= set("0123456789abcdef"):
        raise PikuError(f"{wanted.url} has no branch or tag {wanted.ref!r}")
    return found[0] if found else wanted.ref


def _run(argv: list[str], paths: Paths, app: AppPaths) -> str:
    known = f'UserKnownHostsFile="{paths.home}/.ssh/known_hosts"'
    options = ["BatchMode=yes", "ConnectTimeout=15", "StrictHostKeyChecking=accept-new", known]
    options.append("ServerAliveInterval=15")  # a host that stalls is given up after 45 s
    if source.key(app).exists():
        options += ["IdentitiesOnly=yes", "IdentityAgent=none", f'IdentityFile="{source.key(app)}"']
    ssh = ["ssh", *(word for option in options for word in ("-o", option))]
    env = {
        **subprocesses.environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:ssh",
        "GIT_SSH_COMMAND": shlex.join(ssh), "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    return subprocesses.run(argv, env=env, merged=True, timeout=_PATIENCE)


def _explained(app: AppPaths, wanted: Source, error: subprocesses.ProgramFailed) -> PikuError:
    if wanted.by_ssh:
        hint = f"is the app's key there, with read access? show it with: piku deploy-key {app.name}"
    else:
        hint = "is it public? for a private one use its SSH address, and a key:"
        hint += f" piku deploy-key {app.name}"
    lines = tuple(line for line in error.output.splitlines() if line and _TRUSTED not in line)
    return PikuError(f"{wanted.url} cannot be fetched", detail=lines[-5:], hint=hint)
