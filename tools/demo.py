"""make demo: a Piku server of its own, a real git push over SSH, a page in the browser.

Everything it starts runs as the calling user on free ports of the loopback address, under one temporary
folder. It ends with Ctrl-C, or by itself with --once, and takes everything with it.
"""

import argparse
import http.client
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import environment
from sandbox import Sandbox, SandboxError, tail

CHECKOUT = Path(__file__).resolve().parent.parent
APP = "hello"
HOSTNAME = "hello.localhost"  # as in the example's ENV
OLD, NEW = "Hello from Piku", "Hello again, nobody noticed"
DETAIL = " " * 7
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """Something did not work as it should."""


class Load:
    """Asks for the page again and again, from several threads, and counts what comes back."""

    def __init__(self, server: Sandbox, threads: int = 4) -> None:
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]
        self.outcomes: Counter[str] = Counter()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                status, _, body = self._server.get(HOSTNAME, timeout=10)
                if status != 200:
                    outcome = f"status {status}"
                else:
                    outcome = (
                        "new"
                        if NEW.encode() in body
                        else "old"
                        if OLD.encode() in body
                        else "odd page"
                    )
            except (OSError, http.client.HTTPException) as error:
                outcome = f"{type(error).__name__}: {error}"
            self.outcomes[outcome] += 1
            time.sleep(0.005)

    @property
    def failures(self) -> dict[str, int]:
        return {what: count for what, count in self.outcomes.items() if what not in ("old", "new")}


def say(text: str) -> None:
    print(f"-----> {text}", flush=True)


def detail(text: str) -> None:
    print(f"{DETAIL}{text}".rstrip(), flush=True)


def show_command(command: Sequence[str]) -> None:
    detail(f"$ {shlex.join(command)}")


def show_push(line: str) -> None:
    detail(f"  {line}")


def push(server: Sandbox, repository: Path) -> float:
    """Push, show what it said, return how long it took."""
    show_command(["git", "push", server.remote(APP), "main"])
    start = time.monotonic()
    result = server.push(repository, APP, show=show_push)
    if result.returncode != 0:
        raise DemoError(f"git push failed, exit code {result.returncode}\n{logs(server)}")
    return time.monotonic() - start


def curl(server: Sandbox, expected: str) -> None:
    command = ["curl", "--silent", "--show-error", "--fail", url(server)]
    show_command(command)
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": environment.PATH},
        timeout=30,
    )
    for line in (result.stdout + result.stderr).splitlines():
        show_push(line)
    if result.returncode != 0 or expected not in result.stdout:
        raise DemoError(f'the page should say "{expected}"\n{logs(server)}')


def ask(server: Sandbox, *command: str) -> None:
    """A command as somebody with a key gives it."""
    show_command(["ssh", server.address, *command])
    result = server.ssh(*command)
    for line in (result.stdout + result.stderr).splitlines():
        show_push(line)
    if result.returncode != 0:
        raise DemoError(f"piku {shlex.join(command)} failed, exit code {result.returncode}")


def logs(server: Sandbox) -> str:
    return f"The last lines of the server's log:\n{tail(server.platform_log)}"


def url(server: Sandbox) -> str:
    return f"http://{HOSTNAME}:{server.http_port}/"


def tour(server: Sandbox) -> None:
    say("Pushing examples/python-wsgi for the first time")
    repository = server.repository(APP, CHECKOUT / "examples" / "python-wsgi")
    seconds = push(server, repository)
    say(f"It took {seconds:.1f} s, and here is the page")
    curl(server, OLD)

    say("Changing the greeting and pushing again, while clients keep asking for the page")
    source = (repository / "app.py").read_text()
    server.commit(repository, {"app.py": source.replace(OLD, NEW)}, "Another greeting")
    show_command(["git", "commit", "-am", "Another greeting"])
    with Load(server) as load:
        seconds = push(server, repository)
        server.wait(
            lambda: load.outcomes["new"] >= 20 or load.failures, 10, "the new page is served"
        )
    failed = sum(load.failures.values())
    say(f"It took {seconds:.1f} s. {load.outcomes.total()} requests, {failed} failed")
    detail(f"{load.outcomes['old']} saw the old page, {load.outcomes['new']} the new one")
    if failed:
        raise DemoError(f"requests were lost: {load.failures}")
    curl(server, NEW)

    say("What runs now, and how it came there")
    ask(server, "ps", APP)
    ask(server, "releases", APP)


def ssh_line(server: Sandbox) -> str:
    """What to type before a command of piku's on this server."""
    config = server.client / "ssh_config"
    words = server.ssh_options()[2:]
    options = "".join(f"    {option.replace('=', ' ', 1)}\n" for option in words if option != "-o")
    user, _, host = server.address.partition("@")
    config.write_text(f"Host demo\n    HostName {host}\n    User {user}\n{options}")
    return f"ssh -F {config} demo"


def stay(server: Sandbox) -> None:
    print(f"\n       Open {url(server)} in a browser on this machine.")
    print(f"       Look around, from another terminal: {ssh_line(server)} help")
    print("       Ctrl-C stops the server and removes it.\n", flush=True)
    try:
        while server.platform_pid():
            time.sleep(1)
    except KeyboardInterrupt:
        print(flush=True)


def demo(base: Path, *, once: bool) -> None:
    say(f"Making a server in {base}")
    server = Sandbox(CHECKOUT, base, trace=show_command)
    try:
        with server:
            tour(server)
            if not once:
                stay(server)
            say("Stopping the server")
    finally:
        if server.leftovers:
            detail("These still ran and were killed: " + "; ".join(server.leftovers))
    if server.leftovers:
        raise DemoError("the server did not stop all that it started")


def remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make demo", description="Deploy an example to a server of its own."
    )
    parser.add_argument(
        "--once", action="store_true", help="end by itself; the exit code tells if all worked"
    )
    once = parser.parse_args().once

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in ENDING:  # the first one is enough: cleaning up is not to be interrupted
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, interrupt)
    base = Path(tempfile.mkdtemp(prefix="demo-"))
    try:
        demo(base, once=once)
    except KeyboardInterrupt:
        print(" !     Interrupted", file=sys.stderr)
        return 130
    except (DemoError, SandboxError, TimeoutError, subprocess.SubprocessError) as error:
        print(f" !     {error}", file=sys.stderr)
        return 1
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        remove(base)
    say("All of it worked, and nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
