"""Has ssh run a command on the server, and says in one line why it could not."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from piku.client import spawn
from piku.client.address import Target
from piku.errors import PikuError

FAILED = 255  # ssh's own exit code, for all that goes wrong before the command runs
_PATIENCE = 15  # seconds until a server that does not answer at all counts as unreachable
# Programs that git knows, too, and that call a port otherwise. They have no place for what they say.
_PUTTY = ("plink", "tortoiseplink", "putty")
# What a shell does more with than split at it, and what makes more than one command.
_COMPOUND = frozenset("|&;(){}\n")
_EXPANDED = _COMPOUND | frozenset("~$`<>*?[]#!")


def program(config: Sequence[tuple[str, str]], environ: Mapping[str, str]) -> list[str]:
    """The ssh that git would use (git(1), GIT_SSH): the beginning of an argv."""
    own = [value for key, value in config if key == "core.sshcommand"]
    line = (environ.get("GIT_SSH_COMMAND") or (own[-1] if own else "")).strip()
    if not line:
        return [environ.get("GIT_SSH") or "ssh"]
    first = line.split()[0]
    if not set(line) & _EXPANDED and "=" not in first:
        with contextlib.suppress(ValueError):
            return shlex.split(line)
    # These are the person's own words for a shell, and git hands them to one: a "~" in them has to work.
    # Where it can be, the shell becomes ssh: a signal for it is for ssh then.
    become = "" if set(line) & _COMPOUND or "=" in first or first == "exec" else "exec "
    return ["sh", "-c", f'{become}{line} "$@"', first]


def _is_putty(words: Sequence[str]) -> bool:
    name = words[3 if words[0] == "sh" and len(words) == 4 else 0]
    return name.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe") in _PUTTY


def argv(
    target: Target, words: Sequence[str], *, terminal: bool, options: Sequence[str] = ()
) -> list[str]:
    """The whole command. The server splits what it gets as a shell would, and runs no shell."""
    address = target.address
    own = _is_putty(target.ssh)
    port = ["-P" if own else "-p", address.port] if address.port else []
    patience = [] if own else ["-o", f"ConnectTimeout={_PATIENCE}"]
    command = ["piku", *(["--app", target.app] if target.app else []), *words]
    line = " ".join(shlex.quote(word) for word in command)
    return [
        *target.ssh,
        "-t" if terminal else "-T",
        *options,
        *patience,
        *port,
        address.destination,
        line,
    ]


def run(target: Target, words: Sequence[str], *, terminal: bool = False) -> int:
    """Run a command there with our own terminal, standard input and output; returns its exit code.
    Raises PikuError, with ssh's exit code, when ssh does not get that far."""
    if _is_putty(target.ssh):
        return _ended(spawn.attached(argv(target, words, terminal=terminal)))
    said = _own_file()
    try:
        # What ssh itself has to say goes there; what the command says comes here, as ever.
        code = _ended(spawn.attached(argv(target, words, terminal=terminal, options=["-E", said])))
        with open(said, errors="replace") as file:
            text = file.read()
    finally:
        os.unlink(said)
    return judge(target, code, text)


def _own_file() -> str:
    """An empty file that nobody else can write to."""
    folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 (made with O_EXCL, under a name by chance)
    place = f"{folder}/piku-ssh-{os.getpid()}-{os.urandom(6).hex()}"
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return place


def _ended(code: int) -> int:
    return code if code >= 0 else 128 - code


def judge(target: Target, code: int, text: str) -> int:
    """The exit code that is to be ours, after ssh has ended with `code` and said `text`; raises PikuError
    when ssh failed. A program on the server may end with 255 as well: then ssh has said nothing."""
    if not text:
        return code
    from piku.client import trouble

    lines = trouble.lines(text)
    if code == FAILED and lines and (found := trouble.explain(target.address, lines)):
        raise PikuError(found[0], hint=found[1], code=FAILED)
    for line in lines:
        print(line, file=sys.stderr)
    return code


def capture(
    target: Target,
    words: Sequence[str],
    *,
    stdin: str = "",
    timeout: float | None = None,
    app: bool = True,
) -> str:
    """What a command there prints on standard output; raises PikuError when ssh or the command fails, or
    nothing has come after `timeout` seconds. With a timeout nobody is asked for a passphrase."""
    from dataclasses import replace

    from piku import subprocesses

    said = _own_file()
    options = (
        [] if _is_putty(target.ssh) else ["-E", said, *(["-o", "BatchMode=yes"] if timeout else [])]
    )
    asked = target if app else replace(target, app="")
    try:
        return subprocesses.run(
            argv(asked, words, terminal=False, options=options),
            env=os.environ, stdin=stdin, timeout=timeout,
        )  # fmt: skip
    except subprocesses.ProgramFailed as error:
        with open(said, errors="replace") as file:
            judge(target, error.status, file.read())
        # What the server has to say of it is in piku's own shape already.
        lines = [line.removeprefix(" !     ") for line in error.output.splitlines()] or [
            error.message
        ]
        raise PikuError(lines[0], hint="\n".join(lines[1:]), code=error.status) from None
    finally:
        os.unlink(said)


def feed(target: Target, words: Sequence[str], text: str) -> int:
    """Run a command there that reads this text; what it prints is shown as it comes. Returns its exit code."""
    import tempfile

    with tempfile.TemporaryFile() as file:  # it has no name: nobody else can open it
        file.write(text.encode(errors="surrogateescape"))
        file.seek(0)
        before = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            return run(target, words)
        finally:
            os.dup2(before, 0)
            os.close(before)
