"""Where a call goes: to a server over ssh, or to the commands of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence

from piku import client, stdin_files
from piku.client import ssh
from piku.client.target import Target, find, read
from piku.errors import PikuError

# They are about this machine, whatever remote a checkout has; only `-r` sends them elsewhere.
_HERE = ("setup", "up", "update", "--version")
_INTERACTIVE = ("run", "cron:run", "logs")  # what needs a terminal, or uses colours


def main(arguments: Sequence[str]) -> None:
    """Become ssh, with the command for its server; return when it is for this machine."""
    call = read(arguments)
    command = call.words[0]
    if command in client.COMMANDS or (_is_about_this_machine(call.words) and call.remote is None):
        return
    try:
        target = find(call, os.environ)
    except PikuError:
        if command == "help":
            return
        raise
    if target is None or (command == "help" and set(call.words[1:]) & client.COMMANDS.keys()):
        return
    if list(call.words) == ["help"]:
        from piku.client import commands

        commands.show_help()
    elif plugin := _plugin(command):
        _run_plugin(target, plugin, call.words[1:])
    words = stdin_files.replaced(call.words, target.app)
    # A setting without its value is asked for, and must not be shown.
    asks = command == "config:set" and not any("=" in word or word == "-" for word in words)
    ssh.become(target, words, terminal=asks or command in _INTERACTIVE)


def _is_about_this_machine(words: Sequence[str]) -> bool:
    internal = ("git-", "serve:", "housekeeping", "scp")  # only programs call them, on the server
    own = words[0] in _HERE or words[0].startswith(internal)
    return own or (words[0] == "doctor" and "--self" in words)


# --- plugins -------------------------------------------------------------------------------------


def _plugin(command: str) -> str | None:
    """The program piku-COMMAND on PATH, as git has it."""
    if "/" in command:
        return None
    places = (os.path.join(folder, f"piku-{command}") for folder in os.get_exec_path())
    return next((place for place in places if os.access(place, os.X_OK)), None)


def _run_plugin(target: Target, plugin: str, words: Sequence[str]) -> None:
    """Become the plugin. It knows the server and the app, and so does a `piku` that it calls."""
    own = {
        "PIKU_SERVER": target.address.server, "PIKU_APP": target.app, "PIKU_REMOTE": target.remote,
    }  # fmt: skip
    ssh.exec_argv([plugin, *words], env={**os.environ, **own})
