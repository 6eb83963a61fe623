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
import random
import shlex
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import environment
import processes
from laptop import HOST, Completed, Laptop, SandboxError, run

T = TypeVar("T")

PORTS = range(10000, 20000)  # below what the kernel gives out by itself, beside what Piku gives out


class Sandbox(Laptop):
    """The server, its folders, and a client that has a key.

    path: folders put before PATH on the server. prefix: words put before `piku up`.
    """

    def __init__(
        self, checkout: Path, base: Path, *, path: Sequence[Path] = (), prefix: Sequence[str] = ()
    ) -> None:
        ssh_port, self.http_port, self.https_port = free_ports(3)
        super().__init__(base.resolve() / "client", ssh_port=ssh_port)
        self.checkout = checkout.resolve()
        self.base = base.resolve()
        self.home = self.base / "server"
        self.root = self.home / ".piku"
        self.sshd_log = self.base / "sshd.log"
        self.platform_log = self.base / "up.log"
        self.leftovers: list[str] = []  # what close() had to kill, because it was not stopped
        self._path = path
        self.prefix = prefix
        self._held: dict[str, socket.socket] = {}
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        for folder in (self.base, self.home, self.client, self.key.parent, self.root):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Walls for all of its apps, when we are told so.
        for name, value in environment.passed_on(("PIKU_SANDBOX",)).items():
            (self.root / "ENV").write_text(f"{name}={value}\n")
        self.keygen(self.key, comment="laptop")
        for words in (["setup"], ["setup:ssh", f"{self.key}.pub", "--name", "laptop"]):
            result = self.piku(*words)
            if result.returncode != 0:
                raise SandboxError(f"piku {shlex.join(words)}: {result.stdout}{result.stderr}")
        self.start_sshd()
        self.start_platform()

    def close(self) -> None:
        """Stop the platform and sshd; then end whatever is left of what they started."""
        started = [process.pid for process in (self._platform, self._sshd) if process]
        known = processes.tree(*started)
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
                self.wait(lambda: not left(), timeout=20)
            self.leftovers += processes.kill_all(left)
            for claim in self._held.values():
                claim.close()

    def start_sshd(self) -> None:
        host_key = self.base / "host_key"
        if not host_key.exists():
            self.keygen(host_key, comment="sandbox")
        # HOME is the server's own, not that of who runs it. All in one line: sshd ignores a second.
        variables = (_quoted(f"{name}={value}") for name, value in self.server_env().items())
        settings = (
            f"ListenAddress {HOST}",
            f"Port {self.ssh_port}",
            f"HostKey {host_key}",
            f'AuthorizedKeysFile "{self.home}/.ssh/authorized_keys"',
            "AuthenticationMethods publickey",
            "UsePAM no",
            "StrictModes no",
            "UseDNS no",
            "PidFile none",
            "PrintMotd no",
            "PrintLastLog no",
            "MaxStartups 100",
            "Subsystem sftp internal-sftp",
            f"SetEnv {' '.join(variables)}",
        )
        config = self.base / "sshd_config"
        config.write_text("\n".join((*settings, "")))
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        self._sshd = _start(command, self.sshd_log, {"PATH": environment.PATH})
        self._wait_until_ready(self._sshd, self.sshd_log, lambda: _accepts((HOST, self.ssh_port)))

    def start_platform(self, *options: str, timeout: float = 60) -> None:
        """Start nginx and the emperor with `piku up`, return when both answer."""
        ports = ["--http-port", str(self.http_port), "--https-port", str(self.https_port)]
        piku = str(self.checkout / "bin/piku")
        command = [*self.prefix, piku, "up", *ports, "--host", HOST, *options]
        self._platform = _start(command, self.platform_log, self.server_env())

        def ready() -> bool:
            # nginx listens a moment before it says which process it is.
            pid, emperor = self.root / "nginx" / "nginx.pid", self.root / "uwsgi" / "emperor.stats"
            known = pid.exists() and pid.stat().st_size
            return bool(known) and _accepts(str(emperor)) and _accepts((HOST, self.http_port))

        self._wait_until_ready(self._platform, self.platform_log, ready, timeout)

    def stop_platform(self, *, timeout: float = 60) -> int | None:
        """Stop it as Ctrl-C or systemd would; its exit code, or None when it was not running."""
        platform, self._platform = self._platform, None
        if platform is None:
            return None
        self.hold_ports()
        platform.terminate()
        if not _wait_for_end(platform, timeout):
            log = tail(self.platform_log)
            raise SandboxError(f"piku up did not stop within {timeout:g} s\n{log}")
        return platform.returncode

    def kill_platform(self) -> None:
        """As a power cut would: nginx, the emperor and all apps, none of which can say goodbye."""
        platform, self._platform = self._platform, None
        if platform is None:
            return
        self.hold_ports()
        known = processes.tree(platform.pid)

        def victims() -> set[processes.Process]:
            platform.poll()
            others = processes.tree(os.getpid()) - processes.tree(platform.pid)
            return (known & set(processes.running())) | (self.processes() - others)

        processes.kill_all(victims)
        platform.wait()

    def hold_ports(self) -> None:
        """Have no other server of this machine choose a port of our apps while nobody listens on
        it, until this one is closed."""
        for place in self.root.glob("releases/*/starts/*/ports"):
            with contextlib.suppress(FileNotFoundError):  # of a start that is being removed
                for port in set(place.read_text().split()) - self._held.keys():
                    claim = socket.socket(socket.AF_UNIX)
                    try:
                        claim.bind(f"\0piku-port-{port}")  # as `piku.ports` does
                        self._held[port] = claim
                    except OSError:  # the command that chose it still runs
                        claim.close()

    def platform_pid(self) -> int:
        if self._platform is None or self._platform.poll() is not None:
            raise SandboxError(f"piku up is not running\n{tail(self.platform_log)}")
        return self._platform.pid

    def processes(self) -> set[processes.Process]:
        """All that runs for this server, except the process that asks and its parents."""
        spared = processes.ancestors(os.getpid())
        found = processes.marked(f"PIKU_TEST_SERVER={self.base}", self.base)
        return {process for process in found if process.pid not in spared}

    def sshd_pid(self) -> int:
        assert self._sshd is not None
        return self._sshd.pid

    def _wait_until_ready(
        self,
        process: subprocess.Popen[bytes],
        log: Path,
        ready: Callable[[], bool],
        timeout: float = 20,
    ) -> None:
        def answers() -> bool:
            if process.poll() is not None:
                raise SandboxError(f"{process.args!r} ended: {process.returncode}\n{tail(log)}")
            return ready()

        try:
            self.wait(answers, timeout=timeout)
        except TimeoutError:
            late = f"{process.args!r} was not ready after {timeout:g} s"
            raise SandboxError(f"{late}\n{tail(log)}") from None

    # On the server

    def server_env(self) -> dict[str, str]:
        """What commands on the server see; HOME and PIKU_ROOT decide which server it is."""
        variables = environment.clean(user=self.user, home=str(self.home))
        path = ":".join([*map(str, self._path), variables["PATH"]])
        own = {"PATH": path, "PIKU_ROOT": str(self.root), "PIKU_TEST_SERVER": str(self.base)}
        return {**variables, **own, **environment.passed_on(("PIKU_EXTRAS",))}

    def piku(
        self, *args: str, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run `piku` on the server, as an administrator who is logged in would."""
        command = [str(self.checkout / "bin" / "piku"), *args]
        return run(command, env={**self.server_env(), **(env or {})}, cwd=self.home, text=input)

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
        """One request on a connection of its own; certificates are not verified."""
        port = self.https_port if https else self.http_port
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        connection.sock = socket.create_connection((HOST, port), timeout)
        try:
            if https:
                context = ssl._create_unverified_context()  # noqa: S323 (it signed its own)
                connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @staticmethod
    def wait(condition: Callable[[], T], timeout: float = 30, what: str = "") -> T:
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


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on, and that are given to nobody else as
    long as this process runs."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as listener, claim, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            claim.bind(f"\0piku-sandbox-{port}")  # an abstract name: it is free when we have ended
            claim.detach()
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


def _start(command: list[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """In a session of its own: a Ctrl-C on the terminal is for us, who then stop it in order."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip


def _wait_for_end(process: subprocess.Popen[bytes], timeout: float) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
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
