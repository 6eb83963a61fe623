"""make demo: a Piku server of its own, a real git push over SSH, a page in the browser.

Everything it starts runs as the calling user on free ports of the loopback address, under one
temporary folder. It ends with Ctrl-C, or by itself with --once, and takes everything with it.
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
from pathlib import Path
from types import FrameType

from checkout import CHECKOUT
from laptop import SandboxError
from sandbox import Sandbox, tail

APP = "hello"
HOSTNAME = "hello.localhost"  # as in the example's ENV
OLD, NEW = "Hello from Piku", "Hello again, nobody noticed"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    print(f"-----> {text}", flush=True)


def detail(text: str) -> None:
    print(f"       {text}".rstrip(), flush=True)


def push(server: Sandbox, repository: Path) -> str:
    """Push, show what it said, return how long it took."""
    detail(f"$ git push {server.remote(APP)} main")
    start = time.monotonic()
    result = server.push(repository, APP, show=lambda line: detail(f"  {line}"))
    if result.returncode != 0:
        raise SandboxError(f"git push: {result.returncode}\n{tail(server.platform_log)}")
    return f"{time.monotonic() - start:.1f} s"


def ask(server: Sandbox, *command: str) -> None:
    """A command as somebody with a key gives it."""
    detail(f"$ {shlex.join(['ssh', server.address, *command])}")
    result = server.ssh(*command)
    for line in (result.stdout + result.stderr).splitlines():
        detail(f"  {line}")
    if result.returncode != 0:
        raise SandboxError(f"piku {shlex.join(command)}: {result.returncode}")


def page(server: Sandbox) -> str:
    """Which page there is, or what is wrong with it."""
    try:
        status, _, body = server.get(HOSTNAME, timeout=10)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    text = body.decode(errors="replace")
    seen = next((each for each in (OLD, NEW) if each in text), "another page")
    return seen if status == 200 else f"status {status}"


def under_load(server: Sandbox, repository: Path) -> tuple[str, Counter[str]]:
    """Push while four clients keep asking; how long it took, and what they saw."""
    seen: Counter[str] = Counter()
    over = threading.Event()

    def keep_asking() -> None:
        while not over.wait(0.005):
            seen[page(server)] += 1

    clients = [threading.Thread(target=keep_asking) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        took = push(server, repository)
        server.wait(lambda: seen[NEW] >= 20, 10, "the new page is served")
    finally:
        over.set()
        for client in clients:
            client.join()
    return took, seen


def tour(server: Sandbox) -> None:
    say("Pushing examples/python-wsgi for the first time")
    repository = server.repository(APP, CHECKOUT / "examples" / "python-wsgi")
    say(f"It took {push(server, repository)}, and the page says: {page(server)}")

    say("Changing the greeting and pushing again, while clients keep asking for the page")
    source = (repository / "app.py").read_text()
    server.commit(repository, {"app.py": source.replace(OLD, NEW)}, "Another greeting")
    took, seen = under_load(server, repository)
    failed = seen.total() - seen[OLD] - seen[NEW]
    say(f"It took {took}. {seen.total()} requests, {failed} failed")
    detail(f"{seen[OLD]} saw the old page, {seen[NEW]} the new one")
    if failed or page(server) != NEW:
        raise SandboxError(f"requests were lost: {seen}")

    say("What runs now, and how it came there")
    ask(server, "ps", APP)
    ask(server, "releases", APP)


def stay(server: Sandbox) -> None:
    config = server.client / "ssh_config"
    words = [word.replace("=", " ", 1) for word in server.ssh_options()[2:] if word != "-o"]
    user, _, host = server.address.partition("@")
    lines = ["Host demo", f"HostName {host}", f"User {user}", *words]
    config.write_text("".join(f"{line}\n" for line in lines))
    print(f"\n       Open http://{HOSTNAME}:{server.http_port}/ in a browser on this machine.")
    print(f"       Look around, from another terminal: ssh -F {config} demo help")
    print("       Ctrl-C stops the server and removes it.\n", flush=True)
    try:
        while server.platform_pid():
            time.sleep(1)
    except KeyboardInterrupt:
        print(flush=True)


def demo(base: Path, *, once: bool) -> None:
    say(f"Making a server in {base}")
    with Sandbox(CHECKOUT, base) as server:
        tour(server)
        if not once:
            stay(server)
        say("Stopping the server")
    if server.leftovers:
        raise SandboxError(f"these still ran and were killed: {'; '.join(server.leftovers)}")


def remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end by itself")
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
    except (SandboxError, TimeoutError, subprocess.SubprocessError) as error:
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
