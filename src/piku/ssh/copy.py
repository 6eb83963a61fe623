"""File copy: OpenSSH's own programs, started in the piku root (docs/adr/0007-file-copy.md)."""

import glob
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from piku import subprocesses
from piku.errors import PikuError

SFTP = "--sftp"
# Where distributions keep it: Debian, Fedora, Arch and Alpine, BSD.
_FOLDERS = "/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/libexec"


def program(words: Sequence[str], root: Path) -> list[str]:
    """The argv for what a client asked of `scp`, or of SFTP; it belongs in the root."""
    if list(words) == [SFTP]:
        return [subprocesses.which("sftp-server", _FOLDERS) or "sftp-server"]
    if not {"-t", "-f"} & set(words):
        raise PikuError("this command is for scp and sftp clients", code=2)
    # Clients of the old protocol rely on the server's shell for patterns, and there is none here.
    matches = (sorted(glob.glob(word, root_dir=root)) or [word] for word in words)
    return ["scp", *chain.from_iterable(matches)]
