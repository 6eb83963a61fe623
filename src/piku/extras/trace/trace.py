"""A deploy as a file in the Trace Event format, with what it ran."""

import json
import os
import shlex
from pathlib import Path

from piku import subprocesses
from piku.deploy.deployment import Deployment

VARIABLE = "PIKU_TRACE"


def write(deployment: Deployment) -> None:
    """Write the file that the environment names: a person's on this server, never a client's."""
    if not (place := os.environ.get(VARIABLE)):
        return
    steps = deployment.progress.spans()
    spans = [(f"deploy {deployment.app.name}", steps[0][1], steps[-1][2]), *steps]
    programs = [(shlex.join(argv), begun, end) for argv, begun, end in subprocesses.ran]
    spans += [span for span in programs if span[1] >= steps[0][1]]
    # "X": a complete event; its times are in microseconds. What lies within another is below it.
    events = [
        {
            "name": name,
            "ph": "X",
            "pid": 1,
            "tid": 1,
            "ts": _micro(begun),
            "dur": _micro(end) - _micro(begun),
        }
        for name, begun, end in spans
    ]
    Path(place).write_text(json.dumps({"traceEvents": events}) + "\n")


def _micro(seconds: float) -> int:
    """Whole microseconds: fractions would have a step end after the deploy that it is in."""
    return round(seconds * 1e6)
