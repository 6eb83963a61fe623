"""`piku init`: what a checkout lacks to be pushed, proposed first and then done."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku.client.address import Address
from piku.client.target import REMOTE, git, push_url
from piku.errors import PikuError
from piku.extras.detect.detect import Files, Fit, detect
from piku.output import Output


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Files to write and a remote to add, and notes on what is left to do."""

    top: Path
    title: str
    files: Mapping[str, str]
    kept: tuple[str, ...]
    remote: str
    notes: tuple[str, ...]


def plan(folder: Path, server: Address | None, app: str, hosts: Sequence[str]) -> Plan:
    """Look at the checkout; raises PikuError when it is none, or nothing fits it."""
    top = git("-C", str(folder), "rev-parse", "--show-toplevel")
    if not top:
        hint = "make it one first: git init -b main"
        raise PikuError("this folder is in no git repository", hint=hint, code=2)
    files = _files(Path(top))
    kept = tuple(name for name in ("ENV", "Procfile") if name in files)
    fit = (
        Fit(title="An app with a Procfile", lines=(), because="")
        if "Procfile" in kept
        else detect(files)
    )
    name = (
        f"NGINX_SERVER_NAME={','.join(hosts)}" if hosts else "# NGINX_SERVER_NAME=www.example.com"
    )
    new = {"Procfile": fit.lines, "ENV": (name, *fit.settings)}
    notes = [*([fit.missing] if fit.missing else []), *fit.notes]
    if not hosts and "NGINX_SERVER_NAME=" not in files.read("ENV"):
        notes.append("for nginx to serve it: piku config:set NGINX_SERVER_NAME=www.example.com")
    there = push_url(REMOTE)
    if there and server:
        notes.append(f"the remote {REMOTE!r} stays as it is: {there}")
    if not there and not server:
        notes.append(f"say where it goes: git remote add {REMOTE} user@server:app")
    usual = re.sub(r"[^a-z0-9._-]+", "-", Path(top).name.lower()).strip("-._")[:63] or "app"
    return Plan(
        top=Path(top), title=fit.title, kept=kept, notes=tuple(notes),
        files={name: "\n".join((*new[name], "")) for name in new if name not in kept},
        remote=server.remote(app or server.app or usual) if server and not there else "",
    )  # fmt: skip


def show(found: Plan, output: Output) -> None:
    """What it is, and what would be done."""
    output.step(f"{found.title} in {found.top}")
    for name in found.kept:
        output.detail(f"{name} exists, and stays as it is")
    for name, text in found.files.items():
        output.detail(f"write {name}:")
        for line in text.splitlines():
            output.detail(f"  {line}")
    if found.remote:
        output.detail(f"git remote add {REMOTE} {found.remote}")
    for note in found.notes:
        output.warn(note)


def apply(found: Plan, output: Output) -> None:
    """Write the files and add the remote."""
    for name, text in found.files.items():
        (found.top / name).write_text(text)
    if found.remote:
        subprocess.run(["git", "remote", "add", REMOTE, found.remote], check=True)
    if found.files:
        names = " ".join(found.files)
        output.step(f"Done. Check it, then: git add {names} && git commit -m 'For piku'")
    output.step(f"To deploy: git push {REMOTE} {git('symbolic-ref', '--short', 'HEAD') or 'main'}")


def _files(top: Path) -> Files:
    """What a commit of everything here would have: no ignored files."""
    listed = git("-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = [name for name in dict.fromkeys(listed.split("\0")) if (top / name).is_file()]

    def read(name: str) -> str:
        file = top / name
        small = name in names and os.path.getsize(file) < 1 << 20
        return file.read_text(errors="replace") if small else ""

    return Files(names=names, read=read)
