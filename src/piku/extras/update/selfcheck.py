"""Whether a piku works on this server: what its own doctor finds, compared with before."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from piku import subprocesses


def examine(command: Sequence[str]) -> str:
    """What the doctor of the piku called by this command prints."""
    # In a folder whose git remotes do not send the question to another server.
    words = [*command, "doctor", "--self", "--json"]
    return subprocesses.run(words, cwd=Path("/"), check=False, merged=True)


def new_faults(before: str, after: str) -> tuple[str, ...]:
    """The problems that only the later answer has, or what it says if it is none:
    of a traceback, the error.

    They are counted by their check: another version may word them in another way.
    """
    if (found := _problems(after)) is None:
        traced = ("Traceback", "  ")
        lines = [line for line in after.splitlines() if not line.startswith(traced)]
        return tuple(lines[-20:]) or ("it does not start",)
    known = Counter(check for check, _ in _problems(before) or [])
    new = Counter(check for check, _ in found) - known
    return tuple(what for check, what in found if check in new)


def _problems(answer: str) -> list[tuple[str, str]] | None:
    try:
        findings = json.loads(answer)["findings"]
        return [(one["check"], one["what"]) for one in findings if one["severity"] == "problem"]
    except (ValueError, KeyError, TypeError):
        return None
