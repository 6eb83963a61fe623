"""A Piku server of its own for the demo and the tests: real sshd, real git, uWSGI and nginx.

It runs as the calling user, listens on free loopback ports, and keeps everything under one folder.

    with Sandbox(checkout, folder) as server:
        repository = server.repository("hello", checkout / "examples/python-wsgi")
        assert server.push(repository, "hello").returncode == 0
        status, headers, body = server.get("hello.localhost")
"""

import contextlib
import http.client
import os
import pwd
import random
import shlex
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import environment
import processes

T = TypeVar("T")
Completed = subprocess.CompletedProcess[str]

HOST = "127.0.0.1"
PORTS = range(
    10000, 20000
)  # below what the kernel gives out by itself, beside what Piku gives to apps
COMMAND_TIMEOUT = 180.0


def _ignore(_: object) -> None:
    """What is told by default: nothing."""


class SandboxError(Exception):
    """Something that should have started, answered or stopped did not."""


class Sandbox:
    """The server, its folders, and a client that has a key.

    env: variables for all that runs on the server. path: folders put before its PATH.
    prefix: words put before the command that starts the platform.
    trace: called with each command that sets the server up, before it runs.
    """

    def __init__(
        self,
        checkout: Path,
        base: Path,
        *,
        env: Mapping[str, str] | None = None,
        path: Sequence[Path] = (),
        prefix: Sequence[str] = (),
        trace: Callable[[Sequence[str]], None] = _ignore,
    ) -> None:
        self.checkout = checkout.resolve()
        self.base = base.resolve()
        self.home = self.base / "server"
        self.root = self.home / ".piku"
        self.client = self.base / "client"
        self.key = self.client / ".ssh" / "id_ed25519"
        self.sshd_log = self.base / "sshd.log"
        self.platform_log = self.base / "up.log"
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.ssh_port, self.http_port, self.https_port = free_ports(3)
        self.prefix = prefix
        self.leftovers: list[
            str
        ] = []  # what close() had to kill, because it was not stopped properly
        self._env = dict(env or {})
        self._path = list(path)
        self._trace = trace
        self._sshd: subprocess.Popen[bytes] | None = None
        self._platform: subprocess.Popen[bytes] | None = None

    # Starting and stopping

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        for folder in (self.base, self.home, self.client, self.key.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._set_up("bin/piku", "setup")
        self.keygen(self.key, comment="laptop")
        self._set_up("bin/piku", "setup:ssh", f"{self.key}.pub", "--name", "laptop")
        self.start_sshd()
        self.start_platform()

    def close(self) -> None:
        """Stop the platform and sshd; then end whatever is left of what they started."""
        known = processes.tree(
            *(process.pid for process in (self._platform, self._sshd) if process)
        )
        try:
            self.stop_platform()
        finally:
            if self._sshd and self._sshd.poll() is None:
                self._sshd.terminate()
                _wait_for_end(self._sshd, 5)
            self._sshd = None

            def left() -> set[processes.Process]:
                return self.processes() | (known & set(processes.running()))

            with contextlib.suppress(TimeoutError):
                self.wait(lambda: not left(), timeout=2)
            self.leftovers += processes.kill_all(left)

    def start_sshd(self) -> None:
        host_key = self.base / "host_key"
        if not host_key.exists():
            self.keygen(host_key, comment="sandbox")
        variables = {**self.server_env(), "HOME": str(self.home)}
        config = self.base / "sshd_config"
        config.write_text(
            f"""\
ListenAddress {HOST}
Port {self.ssh_port}
HostKey {host_key}
AuthorizedKeysFile "{self.home}/.ssh/authorized_keys"
AuthenticationMethods publickey
UsePAM no
StrictModes no
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
MaxStartups 100
Subsystem sftp internal-sftp
# HOME is the server's own, not that of who runs it. All in one line: sshd ignores a second one.
SetEnv {" ".join(_quoted(f"{name}={value}") for name, value in variables.items())}
"""
        )
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        self._trace(command)
        with self.sshd_log.open("ab") as log:
            self._sshd = _start(command, log, {"PATH": environment.PATH})
        self._wait_until_ready(self._sshd, self.sshd_log, lambda: _accepts((HOST, self.ssh_port)))

    def start_platform(self, *options: str, timeout: float = 20) -> None:
        """Start nginx and the emperor with `piku up`, return when both answer."""
        ports = [
            "--http-port",
            str(self.http_port),
            "--https-port",
            str(self.https_port),
            "--host",
            HOST,
        ]
        command = ["bin/piku", "up", *ports, *options]
        self._trace(command)
        with self.platform_log.open("ab") as log:
            command[0] = str(self.checkout / command[0])
            self._platform = _start([*self.prefix, *command], log, self.server_env())

        def ready() -> bool:
            return _accepts(str(self.root / "uwsgi" / "emperor.stats")) and _accepts(
                (HOST, self.http_port)
            )

        self._wait_until_ready(self._platform, self.platform_log, ready, timeout)

    def stop_platform(self, *, timeout: float = 20) -> int | None:
        """Stop it as Ctrl-C or systemd would; its exit code, or None when it was not running."""
        platform, self._platform = self._platform, None
        if platform is None:
            return None
        if platform.poll() is None:
            platform.terminate()
        if not _wait_for_end(platform, timeout):
            raise SandboxError(
                f"piku up did not stop within {timeout:g} s\n{tail(self.platform_log)}"
            )
        return platform.returncode

    def kill_platform(self) -> None:
        """As a power cut would: nginx, the emperor and all apps, none of which can say goodbye."""
        platform, self._platform = self._platform, None
        if platform is None:
            return
        known = processes.tree(platform.pid)

        def victims() -> set[processes.Process]:
            platform.poll()
            others = processes.tree(os.getpid()) - processes.tree(platform.pid)
            return (known & set(processes.running())) | (self.processes() - others)

        processes.kill_all(victims)
        platform.wait()

    def platform_pid(self) -> int:
        if self._platform is None or self._platform.poll() is not None:
            raise SandboxError(f"piku up is not running\n{tail(self.platform_log)}")
        return self._platform.pid

    def processes(self) -> set[processes.Process]:
        """All that runs for this server, except the process that asks and its parents."""
        spared = processes.ancestors(os.getpid())
        found = processes.marked(f"PIKU_SANDBOX={self.base}", self.base)
        return {process for process in found if process.pid not in spared}

    def _wait_until_ready(
        self,
        process: subprocess.Popen[bytes],
        log: Path,
        ready: Callable[[], bool],
        timeout: float = 20,
    ) -> None:
        name = (
            shlex.join(str(word) for word in process.args)
            if isinstance(process.args, list)
            else "it"
        )

        def answers() -> bool:
            if process.poll() is not None:
                raise SandboxError(f"{name} ended, exit code {process.returncode}\n{tail(log)}")
            return ready()

        try:
            self.wait(answers, timeout=timeout)
        except TimeoutError:
            raise SandboxError(f"{name} was not ready after {timeout:g} s\n{tail(log)}") from None

    # On the server

    def server_env(self) -> dict[str, str]:
        """What commands on the server see; HOME and PIKU_ROOT decide which server it is."""
        variables = environment.clean(user=self.user, home=str(self.home))
        path = ":".join([*map(str, self._path), variables["PATH"]])
        own = {"PATH": path, "PIKU_ROOT": str(self.root), "PIKU_SANDBOX": str(self.base)}
        return {**variables, **own, **self._env}

    def piku(
        self, *args: str, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run `piku` on the server, as an administrator who is logged in would."""
        command = [str(self.checkout / "bin" / "piku"), *args]
        return run(command, env={**self.server_env(), **(env or {})}, cwd=self.home, text=input)

    def _set_up(self, *command: str) -> None:
        self._trace(command)
        result = self.piku(*command[1:])
        if result.returncode != 0:
            said = (result.stdout + result.stderr).strip()
            raise SandboxError(
                f"{shlex.join(command)} failed, exit code {result.returncode}\n{said}"
            )

    # From the client

    def keygen(self, key: Path, *, comment: str = "") -> Path:
        """Make a key pair without a passphrase."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)]
        self._trace(command)
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return key

    def ssh_options(self, key: Path | None = None) -> list[str]:
        """Options of ssh, scp and sftp alike; nothing of the calling user's own is read or written."""
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

    @property
    def address(self) -> str:
        return f"{self.user}@{HOST}"

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
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Sandbox"), ("EMAIL", "sandbox@localhost"))
        }
        return {
            **self.client_env(),
            **who,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": shlex.join(["ssh", *self.ssh_options(key)]),
        }

    def git(self, repository: Path, *args: str, check: bool = True) -> Completed:
        result = run(["git", *args], env=self.git_env(), cwd=repository)
        if check and result.returncode != 0:
            raise SandboxError(
                f"git {shlex.join(args)} failed, exit code {result.returncode}\n{result.stderr}"
            )
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
            files = {
                str(p.relative_to(files)): p.read_text() for p in sources if p.suffix != ".pyc"
            }
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
            command,
            cwd=repository,
            env=self.git_env(key),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                show(line.rstrip("\n"))
        return subprocess.CompletedProcess(command, process.returncode, "".join(lines), "")

    def get(
        self,
        host: str,
        path: str = "/",
        *,
        https: bool = False,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes | None = None,
        timeout: float = 30,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own; redirects are not followed, certificates not verified."""
        port = self.https_port if https else self.http_port
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        connection.sock = socket.create_connection((HOST, port), timeout)
        try:
            if https:
                connection.sock = _unverified().wrap_socket(connection.sock, server_hostname=host)
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @staticmethod
    def wait(condition: Callable[[], T], timeout: float = 10, what: str = "") -> T:
        """Wait until the condition holds, return what it returned."""
        deadline = time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            if value := condition():
                return value
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"waited {timeout:g} s{' until ' if what else ''}{what}")
            # Who asks by running a program leaves the processor to what is waited for.
            time.sleep(min(max(0.01, now - asked), 0.3))


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    text: str | None = None,
) -> Completed:
    """Run a program with this text, or nothing, as its input; keep what it says."""
    return subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=env,
        input=text or "",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_TIMEOUT,
    )


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, 1000):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SandboxError(f"no free port between {PORTS.start} and {PORTS.stop - 1}")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return f"    ({log.name} does not exist)"
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) or f"    ({log.name} is empty)"


def _start(command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """In a session of its own: a Ctrl-C on the terminal is for us, who then stop it in order."""
    return subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _wait_for_end(process: subprocess.Popen[bytes], timeout: float) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    return True


def _accepts(address: str | tuple[str, int]) -> bool:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        client.settimeout(5)
        try:
            client.connect(address)
        except OSError:
            return False
        return True


def _quoted(text: str) -> str:
    """A word of sshd_config."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
