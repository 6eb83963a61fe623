"""The keys that may push: whether sshd accepts them, and whether they still lead to piku."""

import os
import re
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.extras.doctor.context import Context, Finding, problem, warning
from piku.ssh import keys as ssh_keys

_COMMAND = re.compile(r"""command="(?=FINGERPRINT=)(?:\w+=(?:'[^']*'|\S)+ )+((?:'[^']*'|\S)+) """)


def keys(context: Context) -> Iterator[Finding]:
    """What keeps keys from working."""
    file = ssh_keys.authorized_keys(context.paths)
    yield from _strict(context.paths.home, file)
    lines = files.read(file).splitlines()
    entries = [line for line in lines if line.strip() and not line.startswith("#")]
    for line in entries:
        if not subprocesses.run(["ssh-keygen", "-lf", "-"], stdin=f"{line}\n", check=False):
            what = f"line {lines.index(line) + 1} of {file} is damaged: sshd ignores that key"
            yield problem(what, delete_line(file, line, lines))
    found = [entry for entry in map(_COMMAND.search, entries) if entry]
    for program in {entry[1] for entry in found}:
        if subprocesses.which(shlex.split(program)[0]) is None:
            here = subprocesses.which("piku") or "/usr/bin/piku"
            fix = f"sed -i {shlex.quote(f's|{program} |{here} |')} {shlex.quote(str(file))}"
            yield problem(f"keys run {program}, which is not a program: they cannot push", fix)
    if not found:
        yield warning("no key may push yet", "piku setup:ssh KEY.pub")


def delete_line(file: Path, line: str, lines: Sequence[str]) -> str:
    """A command that deletes this line, by its end: its number changes when another one goes."""
    ends = (line[-size:] for size in (24, 80))
    end = next((end for end in ends if sum(one.endswith(end) for one in lines) == 1), line)
    pattern = ("^" if end == line else "") + re.sub(r"[][\\.*^$|]", r"\\\g<0>", end)
    script = f"\\|{pattern}$|d"
    return f"sed -i {shlex.quote(script)} {shlex.quote(str(file))}"


def _strict(home: Path, file: Path) -> Iterator[Finding]:
    """sshd ignores keys that another user could have written (sshd_config(5), StrictModes)."""
    for path in filter(Path.exists, (home, file.parent, file)):
        if path.stat().st_uid not in (os.getuid(), 0):
            what = f"sshd accepts no key: {path} belongs to another user"
            yield problem(what, f"sudo chown {os.getuid()} {path}")
        elif path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield problem(f"sshd accepts no key: others can write {path}", f"chmod go-w {path}")
