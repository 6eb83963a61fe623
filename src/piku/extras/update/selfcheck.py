"""Whether the piku that an update brings works on this server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import subprocesses


def works(calling: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Whether the piku that is called so finds itself in order, and what it says."""
    try:
        # In a folder where nothing tells piku to ask another server.
        return True, subprocesses.run(
            [*calling, "doctor", "--self"], cwd=Path("/"), env=env, merged=True
        )
    except subprocesses.ProgramFailed as error:
        return False, error.output


def judge(calling: Sequence[str], before: bool) -> str:
    """What speaks against the version that is here now. One fault that was there before does not."""
    fine, said = works(calling)
    if fine or (not before and "problem" in said and "Traceback" not in said):
        return ""
    return said.strip() or "it does not start"


def evidence(said: str) -> tuple[str, ...]:
    """The lines of it that a person needs to see."""
    lines = said.strip().splitlines()
    return tuple(lines[-1:] if any("Traceback" in line for line in lines) else lines[-20:])
