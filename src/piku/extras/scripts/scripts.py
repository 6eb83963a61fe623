"""Which files a command line runs, and what keeps them from running."""

import posixpath
import re
from collections.abc import Iterator

from piku import subprocesses
from piku.deploy.deployment import Deployment
from piku.errors import PikuError

_SHELLS = ("sh", "bash", "dash")
# What may come before a program: a variable, or a program that runs another one.
_BEFORE = re.compile(r"\w+=\S*|exec|env|nice|time|command")
_SEPARATOR = re.compile(r"&&|\|\||[;|&(){}]")
# How a shell names a script that it could not start.
_DENIED = re.compile(
    r"(?P<path>[\w./@+-]+): "
    r"(?P<why>Permission denied|cannot execute|not found|/.*: bad interpreter)"
)
_FILE, _EXECUTABLE = "100644", "100755"  # modes, as git writes them


def check(deployment: Deployment) -> Iterator[str]:
    """Warn of scripts that the Procfile's lines will fail at."""
    if not deployment.release.has_own_code:
        return
    entries = deployment.revision.procfile.entries.values()
    changes_modes = any("chmod" in entry.command for entry in entries)
    for entry in entries:
        for path, by_shell in called(entry.command):
            reason, fix = fault(deployment, path, executed=not (by_shell or changes_modes))
            if reason:
                yield f"{entry.kind!r} will fail: {reason}"
                yield fix


def explain(deployment: Deployment, output: str) -> PikuError | None:
    """Name the script at which a build failed: the shell's own words say little."""
    for line in reversed(output.splitlines()):
        if (found := _DENIED.search(line)) and "cannot create" not in line:
            path = posixpath.normpath(found["path"])
            executed = found["why"] == "Permission denied"
            reason, fix = fault(deployment, path, executed=executed)
            if reason and _has_line(deployment, path, "^#!"):
                return PikuError(reason, hint=fix)
    return None


def called(command: str) -> Iterator[tuple[str, bool]]:
    """The files that a command line runs by their path, and whether a shell reads them."""
    for part in _SEPARATOR.split(command):
        words = part.split()
        while words and _BEFORE.fullmatch(words[0]):
            words.pop(0)
        if words and words[0] == "cd":
            return  # where the rest runs is not worked out
        by_shell = bool(words) and posixpath.basename(words[0]) in _SHELLS
        found = [word for word in words[1:] if not word.startswith("-")] if by_shell else words
        if found and (by_shell or "/" in found[0]):
            yield posixpath.normpath(found[0].strip("'\"")), by_shell


def fault(deployment: Deployment, path: str, *, executed: bool) -> tuple[str, str]:
    """What keeps a script from running, and what fixes it; both empty for none."""
    tree = deployment.revision.tree
    if (mode := tree.modes.get(path)) not in (_FILE, _EXECUTABLE):
        return "", ""
    place = posixpath.normpath(posixpath.join(tree.folder, path))
    where = "in the top folder of the repository" if tree.folder else "fix it"
    if _has_line(deployment, path, "^#!.*\r$" if executed else "\r$"):
        attributes = f"echo '{place} text eol=lf' >>.gitattributes && git add .gitattributes"
        fix = f"{attributes} && git add --renormalize . && git commit -m 'Line ends'"
        return f"{place} has the line ends of Windows (CRLF)", f"{where}: {fix}"
    if mode == _FILE and executed:
        fix = f"git update-index --chmod=+x {place} && git commit -m 'Executable'"
        return f"{place} is not executable in this commit", f"{where}: {fix}"
    return "", ""


def _has_line(deployment: Deployment, path: str, pattern: str) -> bool:
    """Whether a file has such a line; git itself tells, as what we read has no carriage returns."""
    place = posixpath.normpath(posixpath.join(deployment.revision.tree.folder, path))
    grep = ("grep", "--quiet", "-e", pattern, deployment.release.commit, "--", place)
    return subprocesses.succeeds(["git", "-C", str(deployment.app.repo), *grep])
