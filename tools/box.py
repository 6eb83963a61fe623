"""A fresh machine with systemd, for as long as one needs it: a debootstrapped Debian in systemd-nspawn.

    with Box() as box:
        box.put(package, "piku.deb")
        box.sh("apt-get install -y ./piku.deb")
        box.reboot()

For root only. What the machine is made of is kept in /var/cache/piku-dev, a copy of it costs nothing (overlayfs).
It reaches nobody but us: we are at `gateway`, it is at `address`, and packages come from the archives that were
fetched beforehand. `box.py [SUITE]` opens a shell in one. SUITE in the environment is another one than Debian 12's.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CACHE = Path("/var/cache/piku-dev")
Completed = subprocess.CompletedProcess[str]
# A Debian server as an installer leaves it, and what is needed to be one here.
SYSTEM = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "ca-certificates", "openssh-server", "iproute2", "apt-utils",
)  # fmt: skip
# What is to be installed in it later, from archives that lie ready: piku's dependencies, and what the tests use.
ARCHIVES = (
    "nginx", "nginx-light", "uwsgi-core", "uwsgi-plugin-python3", "openssh-server", "openssh-client", "git", "python3",
    "python3-click", "virtualenv", "openssl", "curl", "make", "debconf", "adduser", "lego", "sudo", "apache2",
)  # fmt: skip
SUITE = os.environ.get("SUITE", "bookworm")
MIRRORS = {
    "bookworm": "http://deb.debian.org/debian",
    "trixie": "http://deb.debian.org/debian",
    "noble": "http://archive.ubuntu.com/ubuntu",
}
UBUNTU_KEYRING = (
    "http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
    "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = "/root"  # where root is at home in there
PATIENCE = 60.0  # seconds that a start may take
REBOOT = 133  # how systemd-nspawn says that the machine wants to start again


class BoxError(Exception):
    """The machine did not do what it should."""


def call(*command: str, check: bool = True) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise BoxError(
            f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}".strip()
        )
    return done.stdout


# --- what a machine is made of ---------------------------------------------------------------------


def base(suite: str) -> Path:
    """The folder with the system of that suite; made, in a minute or two, unless it is there."""
    wanted = json.dumps([suite, SYSTEM, ARCHIVES, 5])
    folder = CACHE / f"box-{suite}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            print(f"Making a machine of {suite} in {folder}", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder / "root", suite)
            (folder / "complete").touch()
    return folder / "root"


def _build(root: Path, suite: str) -> None:
    mirror = MIRRORS[suite]
    ubuntu = "ubuntu" in mirror
    components = "main,universe" if ubuntu else "main"
    keyring = [f"--keyring={_ubuntu_keyring(root.parent)}"] if ubuntu else []
    # A debootstrap that is older than the suite does not know it; those of Ubuntu are all made alike.
    recipe = ["/usr/share/debootstrap/scripts/gutsy"] if ubuntu else []
    call("debootstrap", "--variant=minbase", f"--include={','.join(SYSTEM)}", f"--components={components}", *keyring,
         suite, str(root), mirror, *recipe)  # fmt: skip
    (root / "etc/apt/apt.conf.d/90box").write_text(
        'APT::Keep-Downloaded-Packages "true";\nAPT::Get::Assume-Yes "true";\nAcquire::Languages "none";\n'
    )
    (root / "etc/dpkg/dpkg.cfg.d/box").write_text("force-unsafe-io\n")
    (root / "etc/apt/sources.list").write_text(
        f"deb {mirror} {suite} {components.replace(',', ' ')}\n"
    )
    inside = [
        "chroot",
        str(root),
        "env",
        "-i",
        f"PATH={PATH}",
        f"HOME={HOME}",
        "DEBIAN_FRONTEND=noninteractive",
    ]
    call(*inside, "apt-get", "update", "-q")
    known = set(call(*inside, "apt-cache", "pkgnames").split())
    wanted = [name for name in ARCHIVES if name in known]
    call(*inside, "apt-get", "install", "-q", "--download-only", *wanted)
    # sshd makes its keys when its package is configured: every machine must have its own.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)


def _ubuntu_keyring(folder: Path) -> Path:
    """The keys that Ubuntu's archive is signed with: Debian has no package of them."""
    address, digest = UBUNTU_KEYRING
    folder.mkdir(exist_ok=True)
    package = folder / "keyring.deb"
    call("curl", "--fail", "--silent", "--show-error", "--output", str(package), address)
    if hashlib.sha256(package.read_bytes()).hexdigest() != digest:
        raise BoxError(f"{address} is not what it was")
    call("dpkg-deb", "--extract", str(package), str(folder / "keyring"))
    return folder / "keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg"


# --- a machine -------------------------------------------------------------------------------------


def private_mounts() -> None:
    """From now on what we mount is ours alone, and gone when we are."""
    library = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 1 << 18
    if library.unshare(clone_newns) or library.mount(
        b"none", b"/", None, ms_rec | ms_private, None
    ):
        raise BoxError(f"no mounts of our own: {os.strerror(ctypes.get_errno())}")


class Box:
    """A machine that is running while the block runs."""

    def __init__(
        self, suite: str = SUITE, *, lower: Path | None = None, own_network: bool = True,
        prepare: Callable[[Path], None] | None = None,
    ) -> None:  # fmt: skip
        self.suite = suite
        self.name = f"box-{secrets.token_hex(3)}"
        self.folder = Path("/var/tmp", f"piku-{self.name}")  # noqa: S108 (not on a tmpfs: overlayfs needs a disk)
        self._lower = lower
        self._own_network = own_network
        self._prepare = (
            prepare  # what is done to its disk before it is switched on for the first time
        )
        number = secrets.randbelow(16000)
        net = f"198.18.{number // 64 % 250}.{number % 64 * 4}"
        start = net.rpartition(".")
        self.gateway, self.address = (f"{start[0]}.{int(start[2]) + step}" for step in (1, 2))
        if not own_network:
            self.gateway = self.address = "127.0.0.1"
        self._machine: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def log(self) -> Path:
        return self.folder / "console"

    def __enter__(self) -> Self:
        try:
            self._make()
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

    def _make(self) -> None:
        lower = self._lower or base(self.suite)
        for name in ("root", "upper", "work"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        options = f"lowerdir={lower},upperdir={self.folder}/upper,workdir={self.folder}/work"
        call("mount", "-t", "overlay", self.name, "-o", options, str(self.root))
        call("chroot", str(self.root), "ssh-keygen", "-A")  # as the first start of an image does
        if self._prepare:
            self._prepare(self.root)
        if self._own_network:
            self._connect()

    def _connect(self) -> None:
        call("ip", "netns", "add", self.name)
        link = f"h{self.name[-6:]}"
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

    def close(self) -> None:
        self.stop()
        call("umount", str(self.root), check=False)
        call("ip", "netns", "delete", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        for group in Path("/sys/fs/cgroup").glob(f"**/piku-boxes/{self.name}"):
            for place, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(place)

    def start(self) -> None:
        """Switch it on; returns when systemd has started everything."""
        # As on a real Debian: cgroups of version 2, with the controllers that this machine's have.
        env = {"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        network = [f"--network-namespace-path=/run/netns/{self.name}"] if self._own_network else []
        command = [
            "systemd-nspawn", "--quiet", "--directory", str(self.root), f"--machine={self.name}", "--register=no",
            "--keep-unit", *network, "--resolv-conf=off", "--console=pipe", "--suppress-sync=yes", "--boot",
        ]  # fmt: skip
        with self.log.open("ab") as log, entered_cgroup(self.name):
            self._machine = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._machine is None or self._machine.poll() is not None:
                raise BoxError(f"the machine ended\n{self.log.read_text(errors='replace')[-2000:]}")
            with contextlib.suppress(BoxError):
                said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if said in ("running", "degraded"):
                    return
            time.sleep(0.1)
        raise BoxError(
            f"the machine did not start within {PATIENCE:g} s\n{self.log.read_text(errors='replace')[-2000:]}"
        )

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
        machine = self._machine
        if machine is None:
            raise BoxError("the machine is off")
        inside = ["nsenter", "-t", str(_leader(machine.pid)), "-a", "-r", "-w", "env", "-i", f"PATH={PATH}",
                  f"HOME={HOME}", "USER=root", "LANG=C.UTF-8", "TERM=dumb", *command]  # fmt: skip
        done = subprocess.run(
            inside, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=timeout,
        )  # fmt: skip
        if check and done.returncode:
            raise BoxError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}")
        return done

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
            for place in (
                top,
                group.parent,
            ):  # version 2: what the machine is to have must be handed down
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


def main(words: Sequence[str]) -> int:
    if os.getuid() != 0:
        raise SystemExit("box: only root can do this")
    private_mounts()
    with Box(*words[:1]) as box:
        machine = box._machine
        assert machine is not None
        print(
            f"{box.suite} at {box.address}; it is gone when you leave this shell", file=sys.stderr
        )
        return subprocess.run(
            ["nsenter", "-t", str(_leader(machine.pid)), "-a", "-r", "-w", "env", "-i", f"PATH={PATH}", f"HOME={HOME}",
             f"TERM={os.environ.get('TERM', 'dumb')}", "bash", "-l", *words[1:]], check=False,
        ).returncode  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
