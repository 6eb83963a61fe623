"""What `piku ps` says of an app's limits."""

from __future__ import annotations

from piku.extras.limits.limits import Usage

_MB = 2**20


def line(usage: Usage) -> str:
    """What the app takes of what it may, in one line."""
    parts = []
    if usage.memory_limit is not None:
        parts.append(_memory(usage, f"{usage.memory_limit / _MB:.0f} MB"))
    if usage.processors_limit is not None:
        parts.append(f"{usage.processors_limit:g} processors")
    if usage.tasks_limit is not None:
        parts.append(
            f"{'-' if usage.tasks is None else usage.tasks} of {usage.tasks_limit} processes and threads"
        )
    return ", ".join(parts)


def _memory(usage: Usage, limit: str) -> str:
    if not usage.together:
        return f"memory {limit} for each process"
    used = "-" if usage.memory is None else f"{usage.memory / _MB:.1f}"
    times = f" (killed {usage.killed} times for more)" if usage.killed else ""
    return f"memory {used} of {limit}{times}"
