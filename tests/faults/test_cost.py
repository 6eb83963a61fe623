"""What a command costs, counted and not timed: it may become less, and nothing adds a process unnoticed.

A figure that is above its ceiling fails, with what was counted. To see what a command does:

    strace -f -o trace.txt bin/piku apps
"""

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from laptop import Completed, run
from sandbox import Sandbox

from tests.faults.support import App, new_app, succeeded

_CALLS = "execve,openat,fsync,fdatasync,syncfs,kill"
_STARTED = re.compile(r'execve\("[^"]*", \[(.*?)\]')
_ENDED = re.compile(r"execve(?:\(| resumed>).* = 0$")
_LOADED = re.compile(r'openat\(AT_FDCWD, "[^"]+\.pyc", O_RDONLY')
_FLUSHED = re.compile(r" (?:fsync|fdatasync|syncfs)\(")
_WRITTEN = re.compile(r'openat\(AT_FDCWD, "([^"]+)", O_(?:WRONLY|RDWR)')


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one command, with all that it starts.

    processes: programs started, itself too. modules: files of Python that were loaded. files: those
    below piku's folder that were opened for writing. fsyncs: each, and each sync of a file system.
    reloads: of nginx. wakes: signals to the emperor.
    """

    processes: int
    modules: int
    files: int
    fsyncs: int
    reloads: int = 0
    wakes: int = 0


CEILINGS = {
    "push wsgi": Cost(processes=26, modules=330, files=80, fsyncs=9, wakes=4),
    "push web": Cost(processes=26, modules=330, files=86, fsyncs=9, reloads=1, wakes=4),
    "push static": Cost(processes=24, modules=330, files=49, fsyncs=9, wakes=2),
    "apps": Cost(processes=1, modules=95, files=0, fsyncs=0),
    "config wsgi": Cost(processes=1, modules=156, files=4, fsyncs=0),
    "ps wsgi": Cost(processes=1, modules=230, files=0, fsyncs=0),
    "config:set wsgi COLOUR=blue": Cost(processes=9, modules=335, files=64, fsyncs=11, wakes=4),
    "restart wsgi": Cost(processes=7, modules=315, files=50, fsyncs=5, wakes=4),
    "ps:scale wsgi wsgi=2": Cost(processes=7, modules=316, files=56, fsyncs=5, reloads=1, wakes=4),
    "rollback wsgi": Cost(processes=9, modules=336, files=93, fsyncs=11, wakes=4),
}


def counted(trace: Path, root: Path) -> tuple[Cost, list[str]]:
    """What strace has seen, and the programs. One that is asked until it says so (ss) counts once."""
    text = trace.read_text(errors="replace")
    lines = [line for line in text.splitlines() if " ENOENT " not in line]
    programs = [found[1] for line in lines if (found := _STARTED.search(line))]
    started = sum(bool(_ENDED.search(line)) for line in lines)
    asked = sum("/ss" in program.split(",")[0] for program in programs)
    return Cost(
        processes=started - max(0, asked - 1),
        modules=sum(bool(_LOADED.search(line)) for line in lines),
        files=sum(path.startswith(f"{root}/") for path in _WRITTEN.findall(text)),
        fsyncs=len(_FLUSHED.findall(text)),
        reloads=text.count(", SIGHUP)"),
        wakes=text.count(", SIGWINCH)"),
    ), programs


@pytest.fixture(scope="module")
def apps(server: Sandbox) -> dict[str, App]:
    """An app of each kind, which was pushed more than once: what is done once is done."""
    assert shutil.which("strace"), "apt-get install strace"
    found = {kind: new_app(server, kind, kind) for kind in ("wsgi", "web")}
    pages = {"Procfile": "static: public\n", "ENV": "NGINX_SERVER_NAME=static.localhost\n"}
    repository = server.repository("static", {**pages, "public/version": "v0"})
    found["static"] = App(server=server, name="static", repository=repository)
    for app in found.values():
        for _ in range(3):
            app.commit()
            succeeded(server.push(app.repository, app.name))
    return found


def pushed(app: App, trace: Path) -> Completed:
    """Push a change of the code, with what sshd runs under strace."""
    server, keys = app.server, app.server.home / ".ssh" / "authorized_keys"
    text, piku = keys.read_text(), f"{app.server.checkout}/bin/piku"
    app.commit()
    keys.write_text(
        text.replace(piku, f"strace -f --seccomp-bpf -e {_CALLS} -s 4096 -o {trace} {piku}")
    )
    try:
        return server.push(app.repository, app.name)
    finally:
        keys.write_text(text)


def asked(server: Sandbox, words: list[str], trace: Path) -> Completed:
    strace = ["strace", "-f", "--seccomp-bpf", "-e", _CALLS, "-s", "4096", "-o", str(trace)]
    piku = [str(server.checkout / "bin" / "piku"), *words]
    return run([*strace, *piku], env=server.server_env(), cwd=server.home)


@pytest.mark.parametrize("command", CEILINGS)
def test_a_command_costs_no_more(server: Sandbox, apps: dict[str, App], command: str) -> None:
    trace, words = server.base / "trace.txt", command.split()
    if words[0] == "push":
        succeeded(pushed(apps[words[1]], trace))
    else:
        succeeded(asked(server, words, trace))
    cost, programs = counted(trace, server.root)
    most = asdict(CEILINGS[command])
    above = {name: f"{n} > {most[name]}" for name, n in asdict(cost).items() if n > most[name]}
    listing = "\n".join(re.sub(r'[",]', "", program)[:150] for program in programs)
    print(command, cost)
    assert not above, f"piku {command}: {above}\n{listing}"
