"""make soak: deploys, crashes, scaling, cron and requests for half an hour, and nothing may be left of it.

Every app is worked on by a lane of its own: pushes that work and that do not, settings, rollbacks, restarts,
scaling, sleep, maintenance, scheduled jobs, processes and commands that are killed. Clients ask all the time;
each failure of theirs must have a reason. At the end every app is put back as it was, and then destroyed:
both times the server must have nothing that it did not have before. With the same --seed the same is tried.
"""

import argparse
import contextlib
import functools
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import inventory
from inventory import Inventory
from lanes import APPS, Lane, Log, SoakError, settled
from sandbox import Sandbox

CHECKOUT = Path(__file__).resolve().parent.parent
# How much more nginx and the emperor may take after a run than before it, in megabytes.
_GROWTH = 3.0


def is_bounded(name: str) -> bool:
    """What may be more than before: the record of each release, logs that were rotated meanwhile, and what
    pushes that were killed had received, which stays for a day."""
    return bool(
        re.search(r"^file .*(/vN\.(json|activations)|\.log(\.old)?|/tmp_objdir-[^/]*)$", name)
    )


def outlives_its_app(name: str) -> bool:
    """What stays when an app was destroyed: its data, the lock that others may wait for, and what belongs to
    the server: logs and locks, certificates, the socket of what wakes apps."""
    place = name.partition("BASE/server/.piku/")[2]
    return bool(
        re.match(r"(data|cache|certificates)(/|$)|releases/[^/]*@(lock|activation)$|uwsgi/", place)
    )


@dataclass
class Client:
    """Asks one app all the time, and keeps what went wrong."""

    server: Sandbox
    lane: Lane
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, float, str]] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        chance = random.Random(self.lane.name)
        while not over.wait(self.lane.pause(chance)):
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
        """What failed for no reason, and what nginx says of it."""
        for first, last, said in self.failures:
            if not any(first <= end and last >= start for start, end in self.lane.excuses):
                yield f"{self.lane.name}, {first - begun:.1f} s: {said}"
                yield from (f"    {line}" for line in self._of_nginx(last))

    def _of_nginx(self, when: float) -> list[str]:
        ago = time.monotonic() - when
        second = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(time.time() - ago))
        logs = sorted((self.server.root / "nginx").glob("error.log*"))
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if line.startswith(second) and self.lane.host in line][:5]


@contextlib.contextmanager
def asking(clients: list[Client]) -> Iterator[None]:
    over = threading.Event()
    threads = [threading.Thread(target=client.run, args=(over,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def work(lanes: list[Lane], seconds: float, log: Log, server: Sandbox) -> None:
    """Have every lane work until the time is over, or one of them has failed."""
    over = threading.Event()
    threads = [threading.Thread(target=lane.run, args=(over,), name=lane.name) for lane in lanes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not any(lane.failed for lane in lanes):
        over.wait(min(60, left))
        told = ", ".join(f"{name} {size:.1f}" for name, size in inventory.memory(server).items())
        log(f"MB: {told}")
    over.set()
    for thread in threads:
        thread.join()


def report(title: str, problems: list[str]) -> bool:
    print(f"\n{title}: {'nothing' if not problems else ''}")
    for problem in problems:
        print(f"    {problem}")
    return not problems


def growth(before: Inventory, after: Inventory) -> list[str]:
    return [
        f"{name}: {before.memory.get(name, 0):.1f} MB before, {size:.1f} now"
        for name, size in after.memory.items()
        if size > before.memory.get(name, 0) + _GROWTH
    ]


def oversized(server: Sandbox) -> list[str]:
    """Logs beyond what their settings allow: the size, and what may come until it is looked at again."""
    logs = [*(server.root / "logs").rglob("*"), *(server.root / "nginx").glob("*.log*")]
    return [
        f"{path.relative_to(server.root)}: {path.stat().st_size} bytes"
        for path in logs
        if path.is_file() and path.stat().st_size > (2 << 20)
    ]


def own_faults(server: Sandbox) -> list[str]:
    """What commands that failed by a fault of piku's own have left to read."""
    log = server.root / "uwsgi" / "fault.log"
    return log.read_text().splitlines() if log.exists() else []


def soak(server: Sandbox, seconds: float, seed: int, log: Log) -> bool:
    (server.root / "ENV").write_text("PIKU_KEEP_RELEASES=2\nUWSGI_LOG_MAXSIZE=20000\n")
    empty = settled(server)
    chances = {kind: random.Random(f"{seed} {kind.name}") for kind in APPS}
    lanes = [Lane(server, kind, chance, log) for kind, chance in chances.items()]
    for lane in lanes:
        lane.put_back()
    before = settled(server)
    log("everything is there; now work begins")
    clients = [Client(server, lane) for lane in lanes if lane.kind.asked]
    begun = time.monotonic()
    log.begun = begun
    with asking(clients):
        work(lanes, seconds, log, server)
    for lane in lanes:
        if not lane.failed:
            lane.put_back()
    after = settled(server)
    actions = functools.reduce(lambda some, lane: some + lane.done, lanes, Counter[str]())
    print(
        f"\n{sum(actions.values())} actions: {', '.join(f'{n} {name}' for name, n in actions.most_common())}"
    )
    for client in clients:
        print(f"{client.lane.name}: requests {dict(client.outcomes.most_common())}")
    good = [
        report("failed actions", [lane.failed for lane in lanes if lane.failed]),
        report(
            "requests that failed for no reason",
            [t for c in clients for t in c.unexplained(begun)][:40],
        ),
        report("more than before", after.more_than(before, is_bounded)),
        report("grown", growth(before, after)),
        report("logs that are too large", oversized(server)),
        report("piku's own faults", own_faults(server)),
    ]
    for lane in lanes:
        lane.destroy()
    gone = settled(server)
    good.append(report("left of apps that were destroyed", gone.more_than(empty, outlives_its_app)))
    for name, size in gone.memory.items():
        print(f"{name}: {empty.memory.get(name, 0):.1f} MB at first, {size:.1f} at the end")
    return all(good)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="how long to work (default: 30)"
    )
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the chance (default: the time)"
    )
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes")
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with Sandbox(CHECKOUT, base) as server:
            good = soak(server, arguments.minutes * 60, arguments.seed, Log())
        good &= report("had to be killed at the end", server.leftovers)
    except SoakError as error:
        print(f"\n{error}")
        return 1
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
