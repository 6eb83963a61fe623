"""A laptop that knows the machine by name, what is asked under load, and the transcript."""

import http.client
import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.install.box import PATH, Box, Completed

CHECKOUT = Path(__file__).resolve().parents[2]
SERVER = "server.example.com"
HOSTS = ("hello.example.com", "site.example.com", "api.example.com")


@dataclass(frozen=True, kw_only=True)
class Laptop:
    """A home folder with a key, whose ssh and curl find the machine by the names above."""

    home: Path
    box: Box

    @classmethod
    def of(cls, box: Box, home: Path) -> Self:
        (home / ".ssh").mkdir(mode=0o700)
        laptop = cls(home=home, box=box)
        laptop.does("ssh-keygen -q -t ed25519 -N '' -C laptop -f ~/.ssh/id_ed25519")
        # ssh asks the system, not $HOME, where the configuration is: it is named in ssh's and git's
        # own variables.
        (home / ".ssh/config").write_text(
            f"Host {SERVER}\nHostName {box.address}\nHost *\nIdentityFile {home}/.ssh/id_ed25519\n"
            f"UserKnownHostsFile {home}/.ssh/known_hosts\nStrictHostKeyChecking accept-new\n"
            "BatchMode yes\n"
            "IdentitiesOnly yes\nLogLevel ERROR\nKexAlgorithms curve25519-sha256\n"
        )
        (home / "bin").mkdir()
        (home / "bin/ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {home}/.ssh/config "$@"\n')
        (home / "bin/ssh").chmod(0o755)
        (home / ".gitconfig").write_text(
            "[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
        )
        rows = (
            f'resolve = "{host}:{port}:{box.address}"\n'
            for host in HOSTS
            for port in (80, 443, 8080)
        )
        (home / ".curlrc").write_text("silent\nshow-error\n" + "".join(rows))
        return laptop

    @property
    def key(self) -> str:
        return (self.home / ".ssh/id_ed25519.pub").read_text()

    def says(self, line: str, folder: str = "") -> Completed:
        """What a line typed into a shell of the laptop does; its output in one."""
        return subprocess.run(
            ["bash", "-c", line], check=False, cwd=self.home / folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=120,
            env={
                "PATH": f"{self.home}/bin:{PATH}", "HOME": str(self.home), "LANG": "C.UTF-8",
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )  # fmt: skip

    def does(self, line: str, folder: str = "") -> str:
        """The same, for a line that is to succeed."""
        done = self.says(line, folder)
        assert done.returncode == 0, f"{line}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def get(self, host: str, path: str = "/", *, port: int = 80) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.box.address, port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class Load:
    """Asks for a page again and again, from several threads, and counts what comes back."""

    def __init__(self, laptop: Laptop, host: str, threads: int = 4) -> None:
        self._ask_once = lambda: laptop.get(host)[0]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]
        self.outcomes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        # A port that was used is free again after a minute: a client without one could not ask.
        while not self._over.wait(0.02):
            try:
                outcome = str(self._ask_once())
            except (OSError, http.client.HTTPException) as error:
                outcome = f"{type(error).__name__}: {error}"
            self.outcomes[outcome] += 1


def wait(condition: Callable[[], object], what: str, timeout: float = 20) -> None:
    """Wait until the condition holds; what raises OSError does not."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"waited {timeout:g} s for: {what}"
        time.sleep(0.05)


@dataclass
class Transcript:
    """A page for docs: what was typed where, and what came of it."""

    parts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.parts.append(text)

    def show(self, prompt: str, line: str, output: str, *, last: int = 0) -> None:
        """One command and its output, of which only the `last` lines are shown if that is not 0."""
        lines = (
            re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", output).replace("\r", "\n").rstrip().splitlines()
        )
        lines = [text.rstrip() for text in lines if text.strip()]
        if last and len(lines) > last:
            lines = ["…", *lines[-last:]]
        self.parts.append("```console\n" + "\n".join([f"{prompt} {line}", *lines]) + "\n```")

    def save(self) -> None:
        target = os.environ.get("TRANSCRIPT")
        if target and self.parts:
            Path(target).write_text("\n\n".join(self.parts) + "\n")
