"""make soak: deploys, crashes, scaling, cron and requests for half an hour; nothing may be left of
it.

Every app is worked on by a lane of its own. Clients ask all the time; each failure of theirs must
have a reason. At the end every app is put back as it was, and then destroyed: both times the server
must have nothing that it did not have before. With the same --seed the same is tried.
"""

import argparse
import contextlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import inventory
from inventory import Inventory
from lanes import APPS, Lane, Log, SoakError
from sandbox import Sandbox

CHECKOUT = Path(__file__).resolve().parents[2]
GROWTH = 3.0  # how much more nginx and the emperor may take after a run, in megabytes
LOG_SIZE = 2 << 20  # what a log may have, by its setting and what comes until it is looked at again
# What may be more than before: logs of processes that were started since, and what pushes that were
# killed had received, which stays for a day.
BOUNDED = re.compile(r"^file .*(/logs/.*|\.log(\.N|\.old)*|/tmp_objdir-[^/]*)$|^descriptors of ")
# What stays when an app was destroyed: its data, and what belongs to the server.
OUTLIVES = re.compile(
    r"^file BASE/server/\.piku/(data/|cache/|certificates|releases/[^/]*@|uwsgi/|nginx/error)"
    r"|^descriptors "
)
PASSING = re.compile(r"^process .*(shutting down|sshd: |bin/piku|git |vassal nap@|@waker)")


@dataclass
class Client:
    """Asks one app all the time, and keeps what went wrong."""

    server: Sandbox
    lane: Lane
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, float, str]] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        chance = random.Random(self.lane.name)
        while not over.wait(chance.uniform(*self.lane.kind.pause)):
            begun = time.monotonic()
            try:
                status, _, body = self.server.get(self.lane.host, timeout=60)
                said = (
                    "200" if status == 200 and body.startswith(b"v") else f"{status} {body[:60]!r}"
                )
            except (OSError, ValueError) as error:
                said = repr(error)
            self.outcomes[said[:40]] += 1
            if said != "200":
                self.failures.append((begun, time.monotonic(), said))

    def unexplained(self, begun: float) -> Iterator[str]:
        for first, last, said in self.failures:
            if not any(first <= end and last >= start for start, end in self.lane.excuses):
                yield f"{self.lane.name}, {first - begun:.1f} s: {said}"


@contextlib.contextmanager
def running(targets: list[Callable[[threading.Event], None]]) -> Iterator[None]:
    over = threading.Event()
    threads = [threading.Thread(target=target, args=(over,)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def settled(server: Sandbox, timeout: float = 120) -> Inventory:
    """What the server has once nothing changes any more."""
    deadline = time.monotonic() + timeout
    last = inventory.take(server)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = inventory.take(server)
        if now.things == last.things and not any(map(PASSING.match, now.things)):
            return now
        last = now
    return last


def report(title: str, problems: list[str]) -> bool:
    print(f"\n{title}: {'nothing' if not problems else ''}")
    for problem in problems[:40]:
        print(f"    {problem}")
    return not problems


def growth(before: Inventory, after: Inventory) -> list[str]:
    return [
        f"{name}: {before.memory.get(name, 0):.1f} MB before, {size:.1f} now"
        for name, size in after.memory.items()
        if size > before.memory.get(name, 0) + GROWTH
    ]


def oversized(server: Sandbox) -> list[str]:
    logs = [*(server.root / "logs").rglob("*"), *(server.root / "nginx").glob("*.log*")]
    sizes = {path: path.stat().st_size for path in logs if path.is_file()}
    return [f"{path}: {size} bytes" for path, size in sizes.items() if size > LOG_SIZE]


def own_faults(server: Sandbox) -> list[str]:
    """What commands that failed by a fault of piku's own have left to read."""
    log = server.root / "uwsgi" / "fault.log"
    return log.read_text().splitlines() if log.exists() else []


def soak(server: Sandbox, seconds: float, seed: int) -> bool:
    (server.root / "ENV").write_text("PIKU_KEEP_RELEASES=2\nUWSGI_LOG_MAXSIZE=20000\n")
    log = Log()
    empty = settled(server)
    lanes = [Lane(server, kind, random.Random(f"{seed} {kind.name}"), log) for kind in APPS]
    for lane in lanes:
        lane.put_back()
    before = settled(server)
    log.begun = begun = time.monotonic()
    clients = [Client(server, lane) for lane in lanes if lane.kind.asked]
    with running([client.run for client in clients]):
        with running([lane.run for lane in lanes]):
            while time.monotonic() < begun + seconds and not any(lane.failed for lane in lanes):
                time.sleep(1)
        for lane in lanes:
            if not lane.failed:
                lane.put_back()
    after = settled(server)
    for lane in lanes:
        print(f"{lane.name}: {dict(lane.done)}")
    for client in clients:
        print(f"{client.lane.name}: requests {dict(client.outcomes.most_common())}")
    unexplained = [text for client in clients for text in client.unexplained(begun)]
    good = [
        report("failed actions", [lane.failed for lane in lanes if lane.failed]),
        report("requests that failed for no reason", unexplained),
        report("more than before", after.more_than(before, lambda n: bool(BOUNDED.match(n)))),
        report("grown", growth(before, after)),
        report("logs that are too large", oversized(server)),
        report("piku's own faults", own_faults(server)),
    ]
    for lane in lanes:
        lane.good("destroy", lane.name, "--force")
    left = settled(server).more_than(empty, lambda name: bool(OUTLIVES.match(name)))
    return all([*good, report("left of apps that were destroyed", left)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the chance")
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(f"seed {given.seed}, {given.minutes:g} minutes")
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with Sandbox(CHECKOUT, base) as server:
            good = soak(server, given.minutes * 60, given.seed)
        good &= report("had to be killed at the end", server.leftovers)
    except SoakError as error:
        print(f"\n{error}")
        return 1
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
