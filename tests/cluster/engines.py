"""Run a command beside two Docker engines and a registry on one machine: engines.py COMMAND...

As root. Each engine is in a network namespace of its own, on a bridge with the host. The command
finds them below `folder` of PIKU_TEST_CLUSTER (JSON), whoever it runs as; by writing "kill N",
"start N" or "stop N" and a line end to `control` it has a node taken away, as a crash would, or
brought back; "unplug N" and "plug N" do so with its cable. Node 0 is the registry. Another registry
has next to no room, and a third one wants a login. When the command ends, everything is ended by
its process id and removed.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = 2
SUBNET = "10.77.77"
HOST = f"{SUBNET}.254"
REGISTRY, FULL, PRIVATE = f"{HOST}:5077", f"{HOST}:5078", f"{HOST}:5079"
# The login of PRIVATE: piku, with the password "secret".
PASSWORDS = "piku:$2b$05$x6G4mfMGauikxROGZ0evBO.Okw3oqkJAekiranTitOk9q8fIjUTS6\n"
SETTLES = 60.0  # seconds


def call(*argv: str, check: bool = True) -> str:
    done = subprocess.run(
        argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check and done.returncode:
        raise SystemExit(f"engines: {' '.join(argv)}: {done.stdout}")
    return done.stdout


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLES
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"engines: waited {SETTLES:g} s until {what}")
        time.sleep(0.05)


def below(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for entry in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [each for child in entry.read_text().split() for each in below(int(child))]
    return found


class Engine:
    """One Docker engine: node N has the address SUBNET.N."""

    def __init__(self, number: int, folder: Path, tag: str) -> None:
        self.address = f"{SUBNET}.{number}"
        self.space = f"{tag}n{number}"
        self.folder = folder / f"node{number}"
        self.socket = self.folder / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir()
        self.folder.chmod(0o755)
        # `docker` and the images' programs need a name that both nodes can tell apart.
        settings = {
            "data-root": f"{self.folder}/data",
            "exec-root": f"{self.folder}/exec",
            "pidfile": f"{self.folder}/pid",
            "hosts": [f"unix://{self.socket}"],
            "insecure-registries": [REGISTRY, PRIVATE],
            "userland-proxy": False,
            "shutdown-timeout": 3,
        }
        (self.folder / "daemon.json").write_text(json.dumps(settings))

    def connect(self, bridge: str) -> None:
        call("ip", "netns", "add", self.space)
        outside, inside = f"{self.space}o", f"{self.space}i"
        call("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
        call("ip", "link", "set", inside, "netns", self.space)
        call("ip", "link", "set", outside, "master", bridge, "up")
        inner = ["ip", "-n", self.space]
        call(*inner, "link", "set", "lo", "up")
        call(*inner, "addr", "add", f"{self.address}/24", "dev", inside)
        call(*inner, "link", "set", inside, "up")
        call(*inner, "route", "add", "default", "via", HOST)

    def plug(self, way: str) -> None:
        """Its cable, "up" or "down"."""
        call("ip", "link", "set", f"{self.space}o", way)

    def start(self) -> None:
        if self._process is not None:
            return
        for name in ("pid", "exec/containerd/containerd.pid"):  # which no boot leaves in /run
            (self.folder / name).unlink(missing_ok=True)
        # Not `ip netns exec`, which would hide the cgroups.
        enter = ["nsenter", f"--net=/run/netns/{self.space}"]
        # A host name of its own.
        enter += ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.space[-2:]]
        command = [*enter, "dockerd", "--config-file", str(self.folder / "daemon.json")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        wait(lambda: self._answers(), f"{self.space} answers, see {self.folder}/log")
        self.socket.chmod(0o666)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise SystemExit(f"engines: {(self.folder / 'log').read_text()[-2000:]}")
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(self.socket))
            client.sendall(b"GET /info HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(100)
        return False

    def end(self, number: int) -> None:
        """Send a signal to the engine; with SIGKILL, to all of its containers as well."""
        process, self._process = self._process, None
        if process is None:
            return
        if number == signal.SIGKILL:
            # As long as it lives, the engine knows its shims; the containers are below those.
            known = set(below(process.pid)) | set(self.shims())
            for pid in [process.pid, *known]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        else:
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        for pid in self.shims():  # what a killed one left
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def shims(self) -> list[int]:
        """The processes that run containers of this engine, with the containers."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if b"containerd-shim" in words[0] and str(self.folder).encode() in b"".join(
                        words
                    ):
                        found += below(int(entry.name))
        return found

    def remove(self) -> None:
        self.end(signal.SIGTERM)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in sorted(mounts, reverse=True):
            if place.startswith(f"{self.folder}/"):
                call("umount", "-l", place, check=False)
        call("ip", "netns", "del", self.space, check=False)


class Registry:
    """Debian's registry, which keeps its images in `folder`, and asks for one of `passwords`."""

    def __init__(self, folder: Path, address: str, passwords: str = "") -> None:
        self.folder, self.address, self.passwords = folder, address, passwords
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        config: dict[str, object] = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(self.folder)}},
            "http": {"addr": self.address},
        }
        if self.passwords:
            kept = self.folder.with_suffix(".htpasswd")
            kept.write_text(self.passwords)
            config["auth"] = {"htpasswd": {"realm": "piku", "path": str(kept)}}
        settings = self.folder.with_suffix(".yml")
        settings.write_text(json.dumps(config))
        with self.folder.with_suffix(".log").open("ab") as log:
            command = ["docker-registry", "serve", str(settings)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        host, _, port = self.address.partition(":")
        wait(lambda: accepts(host, int(port)), f"the registry answers at {self.address}")

    def end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()


def accepts(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def answer(control: Path, registry: Registry, engines: list[Engine]) -> None:
    """Do what the command asks for, one line each; what was done is acknowledged in a file."""
    machines: list[Engine | Registry] = [registry, *engines]
    actions: dict[str, Callable[[int], None]] = {
        "kill": lambda number: machines[number].end(signal.SIGKILL),
        "stop": lambda number: machines[number].end(signal.SIGTERM),
        "start": lambda number: machines[number].start(),
        "unplug": lambda number: engines[number - 1].plug("down"),
        "plug": lambda number: engines[number - 1].plug("up"),
    }
    while True:
        with control.open() as lines:
            for line in lines:
                word, number = line.split()
                try:
                    actions[word](int(number))
                    said = "done"
                except SystemExit as error:
                    said = str(error)
                (control.parent / "answer").write_text(f"{said}\n")


@contextlib.contextmanager
def network(tag: str) -> Iterator[str]:
    """A bridge that the host has an address on, and that containers reach the outside by."""
    bridge = f"{tag}br"
    call("ip", "link", "add", bridge, "type", "bridge")
    try:
        call("ip", "addr", "add", f"{HOST}/24", "dev", bridge)
        call("ip", "link", "set", bridge, "up")
        yield bridge
    finally:
        call("ip", "link", "del", bridge)


@contextlib.contextmanager
def registries(folder: Path) -> Iterator[Registry]:
    """One with room, which is returned, one on a file system of 4 MB, and one with a login."""
    small = folder / "full"
    small.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small))
    private = Registry(folder / "private", PRIVATE, PASSWORDS)
    found = [Registry(folder / "registry", REGISTRY), Registry(small, FULL), private]
    try:
        for one in found:
            one.start()
        yield found[0]
    finally:
        for one in found:
            one.end(signal.SIGTERM)
        call("umount", str(small), check=False)


@contextlib.contextmanager
def running() -> Iterator[Path]:
    """The folder of a cluster that runs; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
    folder.chmod(0o755)
    tag = f"pc{secrets.token_hex(2)}"
    engines: list[Engine] = []
    try:
        with network(tag) as bridge, registries(folder) as registry:
            try:
                for number in range(1, NODES + 1):
                    engines.append(Engine(number, folder, tag))
                    engines[-1].connect(bridge)
                threads = [threading.Thread(target=engine.start) for engine in engines]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                control = folder / "control"
                os.mkfifo(control)
                control.chmod(0o666)
                about = {
                    "folder": str(folder),
                    "registry": REGISTRY,
                    "full": FULL,
                    "private": PRIVATE,
                    "control": str(control),
                    "nodes": [{"address": e.address, "socket": str(e.socket)} for e in engines],
                }
                (folder / "about.json").write_text(json.dumps(about))
                known = (control, registry, engines)
                threading.Thread(target=answer, args=known, daemon=True).start()
                yield folder
            finally:
                for engine in engines:
                    engine.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    if os.getuid() != 0 or len(sys.argv) < 2:
        raise SystemExit("usage, as root: engines.py COMMAND...")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    with running() as folder:
        env = {**os.environ, "PIKU_TEST_CLUSTER": str(folder / "about.json")}
        return subprocess.run(sys.argv[1:], check=False, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
