"""`piku init`: what a checkout lacks to be pushed, proposed first and then done."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files as files_module
from piku import subprocesses
from piku.app import procfile, settings, variables
from piku.app.tree import MAX_TEXT, Tree
from piku.client import address, fitting, where
from piku.client.address import Address
from piku.errors import PikuError
from piku.output import Output


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done: files to write and a remote to add, and what is to be said of it."""

    top: Path
    title: str
    files: dict[str, str]
    kept: tuple[str, ...]
    remote: str
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.files or self.remote)


def plan(folder: Path, server: Address | None, hosts: Sequence[str]) -> Plan:
    """Look at the checkout; raises PikuError when it is none, or nothing fits it."""
    top = _top(folder)
    tree = _tree(top)
    there = {name for name in ("Procfile", "ENV") if name in tree.files}
    fit = _kept_procfile(tree) if "Procfile" in there else fitting.fit(tree)
    files = {} if "Procfile" in there else {"Procfile": "".join(f"{line}\n" for line in fit.lines)}
    if "ENV" in there:
        variables.parse_file(tree.read("ENV"), {})
    else:
        files["ENV"] = _env(fit, hosts)
    notes = list(fit.notes)
    if not hosts and "NGINX_SERVER_NAME=" not in tree.read("ENV"):
        notes.append(
            "nginx serves it once it has a name: piku config:set NGINX_SERVER_NAME=www.example.com"
        )
    remote, said = _remote(server)
    return Plan(
        top=top,
        title=fit.title,
        files=files,
        kept=tuple(sorted(there)),
        remote=remote,
        notes=(*notes, *said),
    )


def show(found: Plan, output: Output) -> None:
    """What it is, and what would be done."""
    output.step(f"{found.title} in {found.top}")
    for name in found.kept:
        output.detail(f"{name} is there, and stays as it is")
    for name, text in found.files.items():
        output.detail(f"write {name}:")
        output.details(f"  {line}" for line in text.splitlines())
    if found.remote:
        output.detail(f"git remote add {where.REMOTE} {found.remote}")
    for note in found.notes:
        output.warn(note)


def apply(found: Plan, output: Output) -> None:
    for name, text in found.files.items():
        files_module.write(found.top / name, text)
    if found.remote:
        subprocesses.run(
            ["git", "-C", str(found.top), "remote", "add", where.REMOTE, found.remote],
            env=os.environ,
        )
    names = " ".join(found.files)
    branch = _branch(found.top)
    if names:
        output.step(
            f"Done. Look at what was written, then: git add {names} && git commit -m 'For piku'"
        )
    output.step(f"To deploy: git push {where.REMOTE} {branch}")


# --- looking -------------------------------------------------------------------------------------


def _top(folder: Path) -> Path:
    try:
        found = subprocesses.run(
            ["git", "-C", str(folder), "rev-parse", "--show-toplevel"], env=os.environ
        )
    except subprocesses.ProgramFailed:
        raise PikuError(
            "this folder is in no git repository",
            hint="make it one first: git init -b main",
            code=2,
        ) from None
    return Path(found.rstrip("\n"))


def _branch(top: Path) -> str:
    found = subprocesses.run(
        ["git", "-C", str(top), "symbolic-ref", "--short", "HEAD"], env=os.environ, check=False
    )
    return found.strip() or "main"


def _tree(top: Path) -> Tree:
    """What a commit of all that is here would have: no ignored files."""
    argv = ["git", "-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = dict.fromkeys(subprocesses.run(argv, env=os.environ).split("\0"))
    files = {name: "" for name in names if name and (top / name).is_file()}

    def read(path: str) -> str:
        file = top / path
        return files_module.read(file) if path in files and file.stat().st_size <= MAX_TEXT else ""

    return Tree(files=files, read=read)


def _kept_procfile(tree: Tree) -> fitting.Fit:
    """What the checkout's own Procfile says, checked as the server would."""
    entries = procfile.parse(tree.read("Procfile")).entries
    return fitting.Fit(title=f"An app with {', '.join(entries)}", lines=())


def _env(fit: fitting.Fit, hosts: Sequence[str]) -> str:
    name = (
        f"NGINX_SERVER_NAME={','.join(hosts)}" if hosts else "# NGINX_SERVER_NAME=www.example.com"
    )
    text = "".join(f"{line}\n" for line in (name, *fit.settings))
    settings.check_all(variables.parse_file(text, {}))
    return text


def _remote(server: Address | None) -> tuple[str, tuple[str, ...]]:
    """The address of a remote to add, if there is none yet, and what is to be said of it."""
    there = address.push_address(where.git_config(), where.REMOTE)
    if there:
        return "", (
            () if server is None else (f"the remote {where.REMOTE!r} stays as it is: {there}",)
        )
    if server is None:
        return "", (f"say where it goes: git remote add {where.REMOTE} user@server:app",)
    if server.port:
        return f"{server.server}/{server.app}", ()
    return f"{server.server}:{server.app}", ()


def app_name(folder: Path) -> str:
    """What an app in this folder may be called."""
    return re.sub(r"[^a-z0-9._-]+", "-", _top(folder).name.lower()).strip("-._")[:63] or "app"
