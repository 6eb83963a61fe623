"""A laptop: a home with ssh's and git's configuration of its own, from which piku is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import environment
from sandbox import HOST, Completed, Sandbox, run

from tests.e2e.support import CHECKOUT

ALIAS = "pikubox"


@dataclass(frozen=True, kw_only=True)
class Laptop:
    """Everything that a person's account on it has. `program` is how piku is called there."""

    server: Sandbox
    home: Path
    program: tuple[str, ...] = (str(CHECKOUT / "bin" / "piku"),)

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": environment.PATH, "HOME": str(self.home), "LANG": "C.UTF-8"}

    @property
    def ssh_config(self) -> Path:
        return self.home / "ssh_config"

    @property
    def ssh(self) -> list[str]:
        """ssh as this laptop has it set up: it would read the configuration of the real home."""
        return ["ssh", "-F", str(self.ssh_config)]

    def checkout(self, name: str, remote: str = "", files: Mapping[str, str] | None = None) -> Path:
        """A git repository with these files and a remote named piku."""
        folder = self.home / name
        folder.mkdir(parents=True)
        for path, text in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.git(folder, "init", "--quiet", "-b", "main")
        if remote:
            self.git(folder, "remote", "add", "piku", remote)
        return folder

    def git(self, folder: Path, *words: str) -> str:
        result = run(["git", *words], env=self.env, cwd=folder)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def piku(
        self,
        folder: Path,
        *words: str,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """`piku WORDS` in that folder."""
        return run([*self.program, *words], env={**self.env, **(env or {})}, cwd=folder, text=input)

    def says(
        self,
        folder: Path,
        *words: str,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """The same, which has to go well; its standard output."""
        result = self.piku(folder, *words, input=input, env=env)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
        return result.stdout


def make(
    server: Sandbox, home: Path, key: Path | None = None, options: Sequence[str] = ()
) -> Laptop:
    """Set up a laptop whose ssh knows the server by an alias, and whose git uses that ssh."""
    home.mkdir(parents=True, exist_ok=True)
    laptop = Laptop(server=server, home=home)
    laptop.ssh_config.write_text(
        "\n".join((
            *options,
            f"Host {ALIAS}", f"  HostName {HOST}", f"  User {server.user}", f"  Port {server.ssh_port}",
            "Host *", f"  IdentityFile {key or server.key}", "  IdentitiesOnly yes", "  IdentityAgent none",
            f"  UserKnownHostsFile {home}/known_hosts", "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking accept-new", "  LogLevel ERROR", "  BatchMode yes",
            "  KexAlgorithms curve25519-sha256", "",
        ))
    )  # fmt: skip
    (home / ".gitconfig").write_text(
        f"[core]\n\tsshCommand = ssh -F '{laptop.ssh_config}'\n[user]\n\tname = Laptop\n\temail = laptop@localhost\n"
    )
    return laptop
