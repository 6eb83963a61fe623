"""Run a command as root where there are real cgroups of version 2: vm.py COMMAND...

That is here if this machine has them, else in a virtual machine. The machine shows this one's
files, read-only and with a layer in its memory above them, so that whatever is installed here is
there as well; nothing that it writes comes back. Its kernel is Debian's for clouds, fetched once.
For root only; needs qemu-system-x86 and busybox-static.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CACHE = Path("/var/cache/piku-dev")
PACKAGE = "linux-image-cloud-amd64"
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")
MODULES = ("virtio_pci", "virtiofs", "overlay")
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # what we start ends when we do
MEMORY = "3G"
MOST = 1200.0  # seconds after which it is switched off
CODE = "the command in the virtual machine ended with exit code "

# What the kernel starts: it puts the file system together, and changes over to it.
INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
for module in {modules}; do $b insmod "/modules/$module"; done
$b mount -t virtiofs -o ro host /host
$b mount -t tmpfs -o size=80% layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root
$b mount -t proc proc /root/proc
$b mount -t sysfs sysfs /root/sys
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$b mount -t devtmpfs devtmpfs /root/dev
$b mkdir -p /root/dev/pts /root/dev/shm
$b ln -s /proc/self/fd /root/dev/fd # as udev does
$b ln -s /proc/self/fd/1 /root/dev/stdout
$b mount -t devpts -o mode=620,ptmxmode=666 devpts /root/dev/pts
for folder in /dev/shm /run /tmp; do $b mount -t tmpfs -o mode=1777 tmpfs "/root$folder"; done
$b mkdir -p /root/run/lock /root/run/sshd
$b ip link set lo up
$b stty -F /dev/console raw 2>/dev/null
# In its place at the top, for the kernel lets nobody in a chroot make namespaces of users.
cd /root && $b mount --move . /
$b chroot . /bin/sh -c {command}
echo "{code}$?"
echo o >/proc/sysrq-trigger
$b sleep 60
"""


def kernel() -> Path:
    """The folder with the kernel and its modules as the package has them."""
    listing = subprocess.run(
        ["apt-cache", "depends", PACKAGE], check=True, stdout=subprocess.PIPE, text=True
    )
    found = re.search(r"Depends: (linux-image-[0-9]\S*)", listing.stdout)
    if found is None:
        raise SystemExit(f"vm: apt does not know {PACKAGE}: try apt-get update")
    folder = CACHE / found[1]
    if folder.exists():
        return folder
    print(f"Fetching {found[1]}", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        subprocess.run(
            ["apt-get", "download", "-q", found[1]], cwd=temporary, check=True, stdout=sys.stderr
        )
        [package] = Path(temporary).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package.name, "files"], cwd=temporary, check=True)
        [modules] = Path(temporary, "files", "lib", "modules").iterdir()
        base = Path(temporary, "files")
        subprocess.run(["busybox", "depmod", "-b", str(base), modules.name], check=True)
        base.rename(folder)
    return folder


def in_order(modules: Path) -> list[Path]:
    """The files of the modules that are needed, each after those that it needs itself."""
    lines = (line.partition(":") for line in (modules / "modules.dep").read_text().splitlines())
    needs = {name: rest.split() for name, _, rest in lines}
    files = {Path(name).name.partition(".")[0].replace("-", "_"): name for name in needs}
    found: list[str] = []

    def add(name: str) -> None:
        for other in needs[name]:
            add(other)
        if name not in found:
            found.append(name)

    for module in MODULES:
        add(files[module])
    return [modules / name for name in found]


def start_files(folder: Path, kernel: Path, command: str) -> Path:
    """The archive from which the kernel starts."""
    [modules] = (kernel / "lib" / "modules").iterdir()
    for name in ("bin", "modules", "proc", "host", "layer", "root", "dev"):
        (folder / name).mkdir(parents=True)
    needed = in_order(modules)
    for file in needed:
        shutil.copy(file, folder / "modules")
    shutil.copy("/bin/busybox", folder / "bin" / "busybox")
    names = " ".join(file.name for file in needed)
    (folder / "init").write_text(
        INIT.format(modules=names, command=shlex.quote(command), code=CODE)
    )
    (folder / "init").chmod(0o755)
    archive = folder.with_suffix(".cpio")
    entries = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    with archive.open("wb") as packed:
        packing = subprocess.run(
            ["busybox", "cpio", "-o", "-H", "newc"],
            cwd=folder, input=entries.encode(), stdout=packed, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    if packing.returncode:
        raise SystemExit(f"vm: {packing.stderr.decode()}")
    return archive


def share(socket: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start what shows this machine's files to the other."""
    options = ["-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"]
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*WITH_US, str(VIRTIOFSD), f"--socket-path={socket}", *options],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
        )
    deadline = time.monotonic() + 10
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"vm: virtiofsd did not start\n{log.read_text()}")
        time.sleep(0.01)
    return server


def run(folder: Path, words: list[str]) -> int:
    """Boot, show what the command says, and return its exit code."""
    found = kernel()
    variables = f"HOME=/root LANG=C.UTF-8 TERM=dumb PATH={os.environ['PATH']}"
    command = f"cd {shlex.quote(os.getcwd())} && export {variables} && "
    archive = start_files(folder / "start", found, command + shlex.join(words))
    [image] = (found / "boot").glob("vmlinuz-*")
    server = share(folder / "fs", folder / "fs.log")
    qemu = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(os.cpu_count() or 1),
        "-m", MEMORY, "-object", f"memory-backend-memfd,id=mem,size={MEMORY},share=on",
        "-machine", "q35,memory-backend=mem", "-kernel", str(image), "-initrd", str(archive),
        "-append", "console=ttyS0 quiet loglevel=1 panic=-1", "-no-reboot", "-display", "none",
        "-nodefaults",
        "-serial", "stdio", "-chardev", f"socket,id=fs,path={folder / 'fs'}",
        "-device", "vhost-user-fs-pci,chardev=fs,tag=host", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    code = None
    try:
        with subprocess.Popen(
            [*WITH_US, *qemu],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as machine:
            late = threading.Timer(MOST, machine.kill)
            late.start()
            assert machine.stdout is not None
            for line in machine.stdout:
                if end := re.search(rf"{CODE}([0-9]+)", line):
                    code = int(end[1])
                elif code is None and not re.search("\x1b|^Booting from ROM", line):
                    print(line.rstrip(), flush=True)
            late.cancel()
    finally:
        server.kill()
        server.wait()
    if code is None:
        print("vm: the virtual machine ended before its command did", file=sys.stderr)
    return 1 if code is None else code


def main() -> int:
    if os.getuid() != 0 or platform.machine() != "x86_64":
        raise SystemExit("vm: only root can do this, and only on x86_64")
    if len(sys.argv) < 2:
        raise SystemExit("usage: vm.py COMMAND...")
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return subprocess.run(sys.argv[1:], check=False).returncode
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        return run(Path(folder), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
