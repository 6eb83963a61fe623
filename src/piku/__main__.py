"""The entry point: `piku`, and what sshd runs for every key."""

from __future__ import annotations

import io
import os
import shlex
import sys


def main() -> None:
    """Run the command that the arguments, or an SSH client, ask for; ends the process."""
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(errors="replace")  # file names need not be UTF-8
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. What is buffered for it would fail once more at exit.
        code = 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    asked = os.environ.get("SSH_ORIGINAL_COMMAND")
    if asked is None and arguments != [""]:
        from piku.client import entry

        return entry.main(arguments)
    # Under sshd's forced command: what the client sent is words to parse, never a shell's to run.
    from piku.cli.main import execute

    try:
        words = shlex.split(asked or "help")
    except ValueError as error:
        print(f" !     cannot parse this command: {error}", file=sys.stderr)
        return 2
    # Clients say "piku", so that a login's shell would understand the command as well.
    return execute(words[1:] if words[:1] == ["piku"] else words)


if __name__ == "__main__":
    main()
