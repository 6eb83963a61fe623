"""docs/tutorial.md as a list of steps, and somebody who follows them against a server of the
sandbox."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import HOST, Sandbox

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
APP = "hello.example.com"
FAILS = "error: failed to push some refs"  # where the page shows it, the command is to fail


@dataclass(frozen=True, kw_only=True)
class File:
    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Command:
    line: str
    output: tuple[str, ...]


def steps(page: str) -> Iterator[File | Command]:
    """What the page tells a reader to do. A code block is a file with a title, or commands."""
    for info, text in re.findall(r"^```([^\n]*)\n(.*?)^```$", page, re.M | re.S):
        title = re.search(r' title="([^"]+)"', info)
        if title:
            yield File(name=title[1], text=text)
            continue
        assert info == "console", f"a block that nobody tries: ```{info}"
        parts = re.split(r"^\$ ", text, flags=re.M)
        assert parts[0] == "", f"output without a command: {parts[0]}"
        for part in parts[1:]:
            line, *output = part.splitlines()
            yield Command(line=line, output=tuple(output))


class Reader:
    """Somebody who follows the page: a home folder, in which curl and ssh find the test's server."""

    def __init__(self, server: Sandbox, home: Path) -> None:
        self._home = home
        self._folder = home
        # The only differences to what the page says: who the server's user is, and where it
        # listens.
        self._given = {"piku@server.example.com": f"{server.user}@server.example.com"}
        self._printed = {f":{server.http_port}/": "/", str(server.root): "/var/lib/piku/.piku"}
        programs = home / "bin"
        programs.mkdir()
        ssh = shlex.join(["exec", "/usr/bin/ssh", *server.ssh_options(), "-o", f"HostName={HOST}"])
        (programs / "ssh").write_text(f'#!/bin/sh\n{ssh} "$@"\n')
        (programs / "ssh").chmod(0o755)
        (home / ".curlrc").write_text(
            'silent\nshow-error\nnoproxy = "*"\n'
            f'connect-to = "{APP}:80:{HOST}:{server.http_port}"\n'
            f'connect-to = "{APP}:443:{HOST}:{server.https_port}"\n'
        )
        who = {key: value for key, value in server.git_env().items() if key != "GIT_SSH_COMMAND"}
        self._env: Mapping[str, str] = {
            **who,
            "HOME": str(home),
            "PATH": f"{programs}:{who['PATH']}",
        }

    def write(self, file: File) -> None:
        (self._folder / file.name).write_text(file.text)

    def run(self, command: Command) -> list[str]:
        """Run it where the one before ended; the lines it printed. Its exit code must be the
        expected one."""
        line = command.line
        for shown, real in self._given.items():
            line = line.replace(shown, real)
        where = self._home / "where"
        script = f"{line}\ncode=$?\npwd >{shlex.quote(str(where))}\nexit $code\n"
        result = subprocess.run(
            ["bash", "-c", script],
            check=False,
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        self._folder = Path(where.read_text().strip())
        text = result.stdout
        for real, shown in self._printed.items():
            text = text.replace(real, shown)
        expected = any(line.startswith(FAILS) for line in command.output)
        assert bool(result.returncode) == expected, f"{line}: exit code {result.returncode}\n{text}"
        lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
        # Housekeeping may just end the processes of the release before.
        return [line for line in lines if "Waiting for ending old processes" not in line]
