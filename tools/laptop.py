"""Who pushes to a server for tests: a folder with a key, and ssh and git that use nothing else."""

import os
import pwd
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import environment

Completed = subprocess.CompletedProcess[str]

HOST = "127.0.0.1"
COMMAND_TIMEOUT = 180.0
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Sandbox"), ("EMAIL", "sandbox@localhost"))
}


def _ignore(_: object) -> None:
    """What is done with a line by default: nothing."""


class SandboxError(Exception):
    """Something that should have started, answered or stopped did not."""


class Laptop:
    """The client of a server that runs as the same user."""

    def __init__(self, client: Path, *, ssh_port: int) -> None:
        self.client = client
        self.key = client / ".ssh" / "id_ed25519"
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.address = f"{self.user}@{HOST}"
        self.ssh_port = ssh_port

    def keygen(self, key: Path, *, comment: str = "") -> Path:
        """Make a key pair without a passphrase."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return key

    def ssh_options(self, key: Path | None = None) -> list[str]:
        """Options of ssh, scp and sftp alike; nothing of the calling user's own is used."""
        options = [
            f"Port={self.ssh_port}",
            f"IdentityFile={key or self.key}",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            f"UserKnownHostsFile={self.client}/.ssh/known_hosts",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=accept-new",
            "BatchMode=yes",
            "LogLevel=ERROR",
            # The default of OpenSSH 9.2 (sntrup761) takes 0.1 s of computing at every login.
            "KexAlgorithms=curve25519-sha256",
        ]
        return ["-F", "/dev/null", *(word for option in options for word in ("-o", option))]

    def ssh(
        self, *args: str, input: str | None = None, tty: bool = False, key: Path | None = None
    ) -> Completed:
        """Run `ssh piku@server ARGS`; ssh joins them with spaces, quoting is up to the caller."""
        terminal = ["-tt"] if tty else []
        command = ["ssh", *self.ssh_options(key), *terminal, self.address, *args]
        return run(command, env=self.client_env(), cwd=self.client, text=input)

    def client_env(self) -> dict[str, str]:
        return {"PATH": environment.PATH, "HOME": str(self.client), "LANG": "C.UTF-8"}

    def git_env(self, key: Path | None = None) -> dict[str, str]:
        own = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        ssh = shlex.join(["ssh", *self.ssh_options(key)])
        return {**self.client_env(), **WHO, **own, "GIT_SSH_COMMAND": ssh}

    def git(self, repository: Path, *args: str, check: bool = True) -> Completed:
        result = run(["git", *args], env=self.git_env(), cwd=repository)
        if check and result.returncode != 0:
            raise SandboxError(f"git {shlex.join(args)}: {result.returncode}\n{result.stderr}")
        return result

    def remote(self, app: str) -> str:
        """What a person gives to `git remote add`; the port is in GIT_SSH_COMMAND."""
        return f"{self.address}:{app}"

    def repository(self, name: str, files: Mapping[str, str] | Path) -> Path:
        """A repository on branch main with one commit: these files, or a copy of that folder."""
        repository = self.client / name
        repository.mkdir(parents=True)
        self.git(repository, "init", "--quiet", "-b", "main")
        if isinstance(files, Path):
            sources = [path for path in sorted(files.rglob("*")) if path.is_file()]
            kept = (path for path in sources if path.suffix != ".pyc")
            files = {str(path.relative_to(files)): path.read_text() for path in kept}
        self.commit(repository, files, "First version")
        return repository

    def commit(
        self, repository: Path, files: Mapping[str, str | None], message: str = "Change"
    ) -> str:
        """Write files and commit them, return the commit's name.

        None deletes a file; one that starts with #! is executable.
        """
        for name, text in files.items():
            path = repository / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
        self.git(repository, "add", "-A")
        self.git(repository, "commit", "--quiet", "--allow-empty", "-m", message)
        return self.git(repository, "rev-parse", "HEAD").stdout.strip()

    def push(
        self,
        repository: Path,
        app: str,
        ref: str = "main",
        *options: str,
        show: Callable[[str], None] = _ignore,
        key: Path | None = None,
    ) -> Completed:
        """git push; all it printed is in stdout, and each line is shown as it comes."""
        command = ["git", "push", *options, self.remote(app), ref]
        lines: list[str] = []
        with subprocess.Popen(
            command, cwd=repository, env=self.git_env(key), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                show(line.rstrip("\n"))
        return subprocess.CompletedProcess(command, process.returncode, "".join(lines), "")


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    text: str | None = None,
) -> Completed:
    """Run a program with this text, or nothing, as its input; keep what it says."""
    return subprocess.run(
        command, check=False, cwd=cwd, env=env, input=text or "", capture_output=True, text=True,
        errors="replace", timeout=COMMAND_TIMEOUT,
    )  # fmt: skip
