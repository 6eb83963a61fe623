"""What can follow while somebody types: asked by the scripts that `piku completion` prints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from piku import client
from piku.client import address, known, plugins, typed, where
from piku.errors import PikuError

Found = Iterable[tuple[str, str]]

SHELLS = {
    "bash": r"""
_piku() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <("$1" complete --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -F _piku piku
""",
    "zsh": r"""
#compdef piku
_piku() {
    local -a found open
    local line entry
    for line in "${(@f)$("$words[1]" complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        entry="${${line%%$'\t'*}//:/\\:}"
        [[ -n ${line#*$'\t'} ]] && entry+=":${line#*$'\t'}"
        case ${line%%$'\t'*} in
            ("") ;;
            (*[=/]) open+=("$entry") ;;
            (*) found+=("$entry") ;;
        esac
    done
    (( $#open )) && _describe -t piku piku open -S ''
    (( $#found )) && _describe -t piku piku found
}
if [[ $funcstack[1] == _piku ]]; then _piku "$@"; else compdef _piku piku; fi
""",
    "fish": r"""
function __piku_complete
    set -l words (commandline -opc)
    $words[1] complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c piku -f -a '(__piku_complete)'
""",
}


def main(words: Sequence[str]) -> int:
    """Print what the last of the words can become, with a tab and what it is behind each; or for a line of
    bash's, what bash is to put in the place of what it takes for the last word."""
    line = typed.read(words[1]) if words[:1] == ["--line"] and len(words) == 2 else None
    *before, current = (line.words[1:] if line else words) or [""]
    try:
        found = [
            (value, about) for value, about in candidates(before, current) if value.isprintable()
        ]
    except (PikuError, OSError):
        return 1
    for value, about in found:
        print(line.inserted(value) if line else f"{value}\t{about}")
    return 0


def candidates(before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """What begins like `current`, after the words `before`."""
    if before and before[-1] in ("-r", "--remote"):
        names = address.remotes(where.git_config())
        yield from _fitting(((name, "") for name in names), current)
        return
    missing = bool(before) and before[-1] in ("-a", "--app")
    asked = where.read(before[:-1] if missing else before)
    known_here, app = _known(asked)
    if missing:
        yield from _fitting(((name, "") for name in known_here["apps"]), current)
    elif not asked.words:
        yield from _fitting(_commands(known_here["commands"]), current)
    else:
        yield from _fitting(_words(asked.words, current, known_here, app), current)


def _known(asked: where.Asked) -> tuple[Mapping[str, Any], str]:
    """What there is to name, and the app that is meant unless one is named."""
    try:
        target = where.find(asked, os.environ)
    except PikuError:
        return known.here(), ""
    if target is None:
        return known.on_this_server(), asked.app or ""
    found = known.of(target) or known.here()
    own = {name: {"help": "done on this machine"} for name in client.COMMANDS}
    return {**found, "commands": {**found["commands"], **own}}, target.app


def _fitting(found: Found, current: str) -> Iterator[tuple[str, str]]:
    return ((value, about) for value, about in found if value.startswith(current))


def _commands(commands: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((name, one["help"]) for name, one in commands.items())
    yield from (
        (name, "a plugin of this machine") for name in plugins.names() if name not in commands
    )
    yield from (("--app", "the app"), ("--remote", "the server"))


def _words(
    words: Sequence[str], current: str, data: Mapping[str, Any], app: str
) -> Iterator[tuple[str, str]]:
    """What can follow a command and the words after it."""
    command = (
        known.own_command(words[0])
        if words[0] in client.COMMANDS
        else data["commands"].get(words[0])
    )
    if command is None:
        return
    options: Mapping[str, bool] = command["options"]
    if options.get(words[-1]):
        return  # the value of an option
    if current.startswith("-"):
        yield from ((name, "") for name in (*options, "--help"))
        return
    given = [
        word
        for word, last in zip(words[1:], words, strict=False)
        if word[:1] != "-" and not options.get(last)
    ]
    arguments = list(command["arguments"])
    if arguments[:1] == ["app"] and app and given[:1] != [app]:
        del arguments[0]
    elif arguments[:1] == ["app"] and given:
        app = given[0]
    if arguments:
        name = arguments[min(len(given), len(arguments) - 1)]
        yield from _values(name, current, data, data["apps"].get(app, {}))


def _values(
    name: str, current: str, data: Mapping[str, Any], app: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """What an argument of this name can be."""
    found: Mapping[str, Iterable[str]] = {
        "app": data["apps"],
        "process": [*app.get("processes", ()), "build"],
        "counts": [f"{name}=" for name in app.get("processes", ())],
        "job": app.get("jobs", ()),
        "key": app.get("settings", ()),
        "keys": app.get("settings", ()),
        "pairs": [f"{name}=" for name in app.get("settings", ())],
        "command": data["commands"],
        "shell": SHELLS,
    }
    yield from ((value, "") for value in found.get(name, ()))
    if name in ("file", "files", "place"):
        folder, slash, _ = current.rpartition("/")
        for entry in sorted(os.scandir(folder + slash or "."), key=lambda entry: entry.name):
            yield f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}", ""
