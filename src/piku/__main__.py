"""The entry point: `piku`, and what sshd runs for every key."""

from __future__ import annotations

import io
import os
import shlex
import sys


def main() -> None:
    """Run the command that the arguments, or the SSH client, ask for; ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a name that is no UTF-8 is shown as far as it can be
    asked = os.environ.get("SSH_ORIGINAL_COMMAND")
    arguments = sys.argv[1:]
    if asked is not None or arguments == [""]:
        # Under sshd's forced command: what the client sent is words to parse, never a shell's to run.
        try:
            arguments = shlex.split(asked or "help")
        except ValueError as error:
            print(f" !     this command cannot be read: {error}", file=sys.stderr)
            sys.exit(2)
        if arguments[:1] == ["piku"]:
            del arguments[
                0
            ]  # a client says it, so that it is understood by a login's shell as well
        from piku.cli import execute

        sys.exit(execute(arguments))
    from piku.client import entry

    sys.exit(entry.main(arguments))


if __name__ == "__main__":
    main()
