"""What the core would make of a commit, and which programs its Procfile runs."""

import re

from piku import runtimes
from piku.app.procfile import Procfile
from piku.app.tree import Tree


def core_runtime(tree: Tree, procfile: Procfile) -> str:
    """The name of the core's row."""
    return next(row.name for row in runtimes.RUNTIMES if row.detect(tree, procfile))


def runs(procfile: Procfile, *programs: str) -> bool:
    """Whether a line of the Procfile begins with one of these programs, or has it further on."""
    word = re.compile(rf"(?:^|[\s;&|(])(?:{'|'.join(programs)})\s")
    return any(word.search(entry.command) for entry in procfile.entries.values())
