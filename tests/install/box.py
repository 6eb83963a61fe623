"""A fresh machine with systemd for as long as one needs it: Debian in systemd-nspawn.

    with Box() as box:
        box.put(package, "piku.deb")
        box.sh("apt-get install -y ./piku.deb")
        box.reboot()

For root only. It reaches nobody but us: we are at `gateway`, it is at `address`, and packages come
from archives that were fetched when its system was made. `box.py` opens a shell in one
(SUITE=trixie: of Debian 13).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from debian import HOME, PATH, SUITE, BoxError, base, call, copy, inside, private_mounts

Completed = subprocess.CompletedProcess[str]
# A Debian server as an installer leaves it, and what is needed to be one here.
SYSTEM = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "ca-certificates", "openssh-server",
    "iproute2", "apt-utils",
)  # fmt: skip
# What is to be installed in it later: piku's dependencies, and what the tests use.
ARCHIVES = (
    "nginx", "nginx-light", "uwsgi-core", "uwsgi-plugin-python3", "openssh-server", "git",
    "python3", "openssh-client", "python3-click", "virtualenv", "openssl", "curl", "make", "debconf", "lego",
    "adduser", "sudo", "apache2",
)  # fmt: skip
PATIENCE = 60.0  # seconds that a start may take
REBOOT = 133  # how systemd-nspawn says that the machine wants to start again


class Box:
    """A machine that is running while the block runs."""

    def __init__(self, prepare: Callable[[Path], None] | None = None) -> None:
        self._prepare = prepare  # what is done to its disk before it is switched on first
        self._cleanup = contextlib.ExitStack()
        number = secrets.randbelow(16000)
        net, last = f"198.18.{number // 64 % 250}", number % 64 * 4
        self.gateway, self.address = f"{net}.{last + 1}", f"{net}.{last + 2}"
        self.folder = Path()
        self._machine: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def log(self) -> Path:
        return self.folder / "console"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = stack.enter_context(copy(base(SUITE, SYSTEM, ARCHIVES)))
            inside(self.root, "ssh-keygen", "-A")  # as the first start of an image does
            if self._prepare:
                self._prepare(self.root)
            stack.callback(_remove_cgroups, self.name)
            stack.callback(call, "ip", "netns", "delete", self.name, check=False)
            self._connect()
            stack.callback(self.stop)
            self.start()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _connect(self) -> None:
        call("ip", "netns", "add", self.name)
        link = f"h{self.name[-6:]}"  # names of links are short
        call("ip", "link", "add", link, "type", "veth", "peer", "name", "host0", "netns", self.name)
        call("ip", "address", "add", f"{self.gateway}/30", "dev", link)
        call("ip", "link", "set", link, "up")
        for words in (
            f"address add {self.address}/30 dev host0",
            "link set host0 up",
            "link set lo up",
            f"route add default via {self.gateway}",
        ):
            call("ip", "-n", self.name, *words.split())

    def start(self) -> None:
        """Switch it on; returns when systemd has started everything."""
        # As on a real Debian: cgroups of version 2, with the controllers that this machine's have.
        env = {"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        command = [
            "systemd-nspawn", "--quiet", "--directory", str(self.root), f"--machine={self.name}",
            "--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{self.name}",
            "--resolv-conf=off", "--console=pipe", "--suppress-sync=yes", "--boot",
        ]  # fmt: skip
        with self.log.open("ab") as log, entered_cgroup(self.name):
            self._machine = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._machine and self._machine.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(BoxError):
                said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if said in ("running", "degraded"):
                    return
            time.sleep(0.1)
        said = self.log.read_text(errors="replace")[-2000:]
        raise BoxError(f"the machine ended, or did not start within {PATIENCE:g} s\n{said}")

    def stop(self) -> None:
        """Switch it off in order; after a while, pull the plug."""
        machine, self._machine = self._machine, None
        if machine is None or machine.poll() is not None:
            return
        with contextlib.suppress(BoxError, ProcessLookupError):
            os.kill(_leader(machine.pid), signal.SIGRTMIN + 4)
        try:
            machine.wait(60)
        except subprocess.TimeoutExpired:
            machine.kill()
            machine.wait()

    def reboot(self) -> None:
        """As `reboot` does; returns when it is up again."""
        machine = self._machine
        assert machine is not None
        self.run("systemctl", "reboot", check=False)
        code = machine.wait(120)
        if code != REBOOT:
            raise BoxError(f"the machine ended with {code} instead of starting again")
        self.start()

    def run(self, *command: str, check: bool = True, timeout: float = 300) -> Completed:
        """Run a program as root in there, as at its console."""
        done = subprocess.run(
            self.inside(*command, terminal="dumb"), check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=timeout,
        )  # fmt: skip
        if check and done.returncode:
            raise BoxError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}")
        return done

    def inside(self, *command: str, terminal: str) -> list[str]:
        """The program that runs a command as root in there."""
        if self._machine is None:
            raise BoxError("the machine is off")
        variables = [
            f"PATH={PATH}",
            f"HOME={HOME}",
            "USER=root",
            "LANG=C.UTF-8",
            f"TERM={terminal}",
        ]
        leader = str(_leader(self._machine.pid))
        return ["nsenter", "-t", leader, "-a", "-r", "-w", "env", "-i", *variables, *command]

    def sh(self, script: str, *, check: bool = True, timeout: float = 300) -> Completed:
        """The same for a line that root types into a shell in its home folder."""
        return self.run("bash", "-c", f"cd {HOME} && {script}", check=check, timeout=timeout)

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder into it; a relative target is below root's home folder."""
        place = self.root / str(Path(HOME, target)).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True)
        else:
            shutil.copy2(source, place)


def _leader(nspawn: int) -> int:
    """The process that is number 1 in there."""
    children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
    if not children:
        raise BoxError("the machine has not begun to start")
    return int(children[-1])


@contextlib.contextmanager
def entered_cgroup(name: str) -> Iterator[None]:
    """Be in a cgroup of that name while the block runs: a machine's groups are then below it."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    before: list[Path] = []
    for number, kind, path in own:
        top = Path("/sys/fs/cgroup", kind.removeprefix("name=") if number != "0" else "")
        if number == "0" and not (top / "cgroup.procs").exists():
            top = top / "unified"
        here = top / path.lstrip("/")
        group = top / "piku-boxes" / name
        with contextlib.suppress(OSError):
            group.mkdir(parents=True, exist_ok=True)
            for place in (top, group.parent):  # version 2: what it is to have must be handed down
                with contextlib.suppress(OSError):
                    (place / "cgroup.subtree_control").write_text("+memory +cpu +pids")
            for file in ("cpuset.cpus", "cpuset.mems"):
                for place in (group.parent, group):
                    if (place / file).exists():
                        (place / file).write_text((top / file).read_text())
            (group / "cgroup.procs").write_text("0")
            before.append(here)
    try:
        yield
    finally:
        for here in before:
            (here / "cgroup.procs").write_text("0")


def _remove_cgroups(name: str) -> None:
    for group in Path("/sys/fs/cgroup").glob(f"**/piku-boxes/{name}"):
        for place, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(place)


def main() -> int:
    if os.getuid() != 0:
        raise SystemExit("box: only root can do this")
    private_mounts()
    with Box() as box:
        print(f"{SUITE} at {box.address}; it is gone when you leave this shell", file=sys.stderr)
        shell = box.inside("bash", "-l", terminal=os.environ.get("TERM", "dumb"))
        return subprocess.run(shell, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
