"""Who runs a command. An installed server has an account for its apps, "piku".

Root's commands start anew as that account, or PIKU_ROOT's owner: what they run is the apps' own.
"""

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import stdin_files, subprocesses
from piku.cli.common import own_command
from piku.errors import PikuError

NAME = "piku"
_ANYBODY = ("help", "update")
# All else in root's environment stays root's: apps can read that of the account's processes.
_PASSED_ON = (
    "TERM", "NO_COLOR", "COLUMNS", "LINES", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSH_CLIENT",
    "PIKU_EXTRAS", "PIKU_ROOT",
)  # fmt: skip


def settle(words: Sequence[str], app: str, environ: Mapping[str, str]) -> None:
    """Return if the caller may run this command as they are; root's starts anew as the account.
    Raises PikuError for another user who has no apps, where the account has some."""
    root, is_root = environ.get("PIKU_ROOT"), os.geteuid() == 0
    if words[0] in _ANYBODY or (root and not (is_root and os.path.exists(root))):
        return
    try:
        account = pwd.getpwuid(os.stat(root).st_uid) if root else pwd.getpwnam(NAME)
    except KeyError:
        if root:
            raise PikuError(f"the owner of {root} has no account on this server") from None
        return
    if account.pw_uid == os.geteuid():
        return
    if is_root:
        words = stdin_files.replaced(words, app)
        _become(account, [*(["--app", app] if app else []), *words])
    own = Path(environ.get("HOME") or "/", ".piku")
    if not own.exists() and Path(account.pw_dir, ".piku").is_dir():
        raise PikuError(
            f"the apps of this server belong to the user {NAME!r}",
            hint=f"use: sudo piku {words[0]} …\nor with a key: ssh {NAME}@localhost …",
        )


def _become(account: pwd.struct_passwd, words: Sequence[str]) -> None:
    """Run the command as the account, in a terminal of its own or none: whoever shares root's could
    type into it, and so could every app."""
    command = [*own_command(), *words]
    variables = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    place = Path(variables.get("PIKU_ROOT", account.pw_dir)).absolute()
    variables |= {"PIKU_ROOT": str(place)} if "PIKU_ROOT" in variables else {}
    variables |= {
        "PATH": subprocesses.SYSTEM_PATH, "HOME": account.pw_dir, "SHELL": account.pw_shell,
        "USER": account.pw_name, "LOGNAME": account.pw_name,
        "SUDO_USER": os.environ.get("SUDO_USER", "root"),
    }  # fmt: skip
    if all(os.isatty(number) for number in (0, 1, 2)):
        terminal = ["runuser", f"--user={account.pw_name}", "--pty", "--"]
        subprocesses.exec_program([*terminal, *command], cwd=place, env=variables)
    user = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    argv = ["setpriv", *user, "--", *command]
    sys.exit(subprocesses.run_in_new_session(argv, cwd=place, env=variables))
