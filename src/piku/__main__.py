"""The entry point: `piku`, and what sshd runs for every key."""

import io
import os
import shlex
import sys

from piku.errors import PikuError
from piku.output import silence


def main() -> None:
    """Run the command that the arguments, or an SSH client, ask for; ends the process."""
    if os.name == "nt":
        sys.exit(" !     on Windows, piku runs in WSL; without it: ssh piku@SERVER COMMAND")
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(errors="replace")  # file names need not be UTF-8
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0  # the reader has seen enough
        silence(sys.stdout)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    asked = os.environ.get("SSH_ORIGINAL_COMMAND")
    if asked is not None or arguments == [""]:
        # Under sshd's forced command: what the client sent is parsed, and never run by a shell.
        try:
            words = shlex.split(asked or "help")
        except ValueError as error:
            print(f" !     this command cannot be read: {error}", file=sys.stderr)
            return 2
        # Clients say "piku", so that a login's shell would understand the command as well.
        arguments = words[1:] if words[:1] == ["piku"] else words
    elif os.environ.get("_PIKU_COMPLETE"):
        from piku.cli.main import complete

        complete()
    else:
        from piku.client import main as client

        try:
            client.main(arguments)
        except BrokenPipeError:
            raise
        except (PikuError, OSError) as error:
            from piku.cli.main import report

            return report(error, arguments)
    from piku.cli.main import execute

    return execute(arguments)


if __name__ == "__main__":
    main()
