"""The client runs where Linux's own calls are not to be had, as on a Mac."""

from dataclasses import replace
from pathlib import Path

from tests.client.laptop import Laptop
from tests.e2e.support import CHECKOUT, App

# What a Mac's Python lacks of these modules, as their documentation has it ("Availability").

NAME = "corner"


ELSEWHERE = """\
import os, resource, select, signal, socket, sys
LACKING = {
    os: "memfd_create pidfd_open sched_getaffinity sched_setaffinity eventfd splice copy_file_range getrandom "
        "posix_fadvise posix_fallocate setresuid setresgid getresuid getxattr setxattr listxattr unshare setns "
        "O_PATH O_TMPFILE O_DIRECT fdatasync sched_getscheduler MFD_CLOEXEC accept4 login_tty",
    select: "epoll EPOLLIN", signal: "sigtimedwait sigwaitinfo pidfd_send_signal SIGRTMIN SIGPWR SIGCLD",
    resource: "prlimit", socket: "AF_NETLINK AF_PACKET SO_PEERCRED SOCK_CLOEXEC SOCK_NONBLOCK",
}
for module, names in LACKING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in ("inotify", "select.epoll", "prctl", "spwd"):
    sys.modules[name] = None
real = open
def absent(path, *args, **kwargs):
    if str(path).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", path)
    return real(path, *args, **kwargs)
import builtins, io
builtins.open = io.open = absent
sys.path[:0] = [sys.argv[1]]
sys.path.append("/usr/lib/python3/dist-packages")
del sys.argv[1]
from piku.__main__ import main
main()
"""


def test_it_needs_nothing_of_linux(
    laptop: Laptop, checkout: Path, shop: App, tmp_path: Path
) -> None:
    start = tmp_path / "piku.py"
    start.write_text(ELSEWHERE)
    mac = replace(laptop, program=("/usr/bin/python3", "-IS", str(start), str(CHECKOUT / "src")))
    assert mac.says(checkout, "apps") == "* corner\n"
    assert mac.piku(checkout, "run", "exit 7").returncode == 7
    assert "ps:scale" in mac.says(checkout, "help")
    assert "ps:scale" in mac.says(tmp_path, "help")
    (checkout / "mac.env").write_text("MAC=1\n")
    mac.says(checkout, "config:push", "--yes", "--no-restart", "mac.env")
    mac.says(checkout, "config:pull", "mac.pulled")
    assert "MAC=1" in (checkout / "mac.pulled").read_text()
    mac.says(checkout, "upload", "mac.env")
    mac.says(checkout, "download", "mac.env", str(tmp_path))
    assert mac.says(checkout, "open", env={"BROWSER": "true"}).startswith("http://corner.localhost")
    fresh = mac.checkout(
        str(tmp_path / "fresh"), files={"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}
    )
    assert "uvicorn main:app" in mac.says(fresh, "init", "me@example.com:fresh", "--yes")
