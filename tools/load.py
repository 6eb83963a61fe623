"""Steady load on one app, with every request accounted for: `load.py PORT HOST`, or Load from a program.

It runs until its standard input is closed, then prints what it saw as JSON. Arrivals are by the clock: a
server that stalls is not asked less for it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import ssl
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds after which a request has failed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`rate` quick requests a second, and `slow` connections that ask for requests of `work` seconds.

    Of the connections `kept` are kept alive, the others are fresh for each request. They are TLS, and must
    be for this host, when a file of certificates to `trust` is given.
    """

    port: int
    host: str
    rate: float = 240
    connections: int = 32
    slow: int = 6
    work: float = 1.0
    body: str = ".*"  # what every body must match
    kept: int = 0
    trust: str = ""


@dataclass(kw_only=True)
class Report:
    """Times are seconds; `beyond` is how much longer than its own work the slowest request took."""

    requests: int = 0
    seconds: float = 0
    rate: float = 0
    failures: int = 0
    failed: list[str] = field(default_factory=list)  # the first of them
    retries: int = 0
    median: float = 0
    p99: float = 0
    beyond: float = 0
    slowest: list[str] = field(default_factory=list)
    own_lag: float = 0  # how late this program itself was at most: a busy machine, not the server
    bodies: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.requests} requests in {self.seconds:.1f} s ({self.rate:.0f}/s), {self.failures} failed, "
            f"{self.retries} sent again; beyond their own work: median {self.median * 1000:.1f} ms, "
            f"p99 {self.p99 * 1000:.0f} ms, max {self.beyond * 1000:.0f} ms "
            f"(the generator's own lag: {self.own_lag * 1000:.0f} ms)"
        )


class BadAnswerError(Exception):
    """An answer that is not the app's."""


class ClosedError(Exception):
    """The server ended the connection before it began to answer."""


class Client:
    """One connection at a time, fresh for each request unless kept alive."""

    def __init__(self, plan: Plan, *, kept: bool) -> None:
        self._plan = plan
        self._kept = kept
        self._body = re.compile(plan.body)
        self._tls = ssl.create_default_context(cafile=plan.trust) if plan.trust else None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.retries = 0

    async def ask(self, path: str) -> str:
        """The body of the answer; raises when it is not what it should be."""
        reused = self._streams is not None
        try:
            return await self._ask(path)
        except (ClosedError, ConnectionError) as error:
            self.close()
            # RFC 9112 section 9.3.1: a connection may be closed while it is idle; a client asks again.
            if not reused or not isinstance(
                error, ClosedError | ConnectionResetError | BrokenPipeError
            ):
                raise
            self.retries += 1
            return await self._ask(path)

    async def _ask(self, path: str) -> str:
        if self._streams is None:
            name = self._plan.host if self._tls else None
            self._streams = await asyncio.open_connection(
                HOST, self._plan.port, ssl=self._tls, server_hostname=name
            )
        reader, writer = self._streams
        kept = "keep-alive" if self._kept else "close"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._plan.host}\r\nConnection: {kept}\r\n\r\n".encode()
        )
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BadAnswerError(f"cut off in its head: {error.partial[:80]!r}") from error
            raise ClosedError("closed without an answer") from error
        length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
        try:
            raw = await (reader.readexactly(int(length[1])) if length else reader.read())
        except asyncio.IncompleteReadError as error:
            raise BadAnswerError(f"cut off after {len(error.partial)} bytes of its body") from error
        body = raw.decode(errors="replace").strip()
        if not self._kept or re.search(r"(?i)\r\nconnection: *close", head):
            self.close()
        if head.split(" ", 2)[1] != "200":
            raise BadAnswerError(f"answered {head.splitlines()[0]}")
        if not self._body.fullmatch(body):
            raise BadAnswerError(f"wrong body {body[:80]!r}")
        return body

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


class Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._begun = 0.0
        self._beyond: list[tuple[float, float, str]] = []
        self._failures: list[str] = []
        self._bodies: Counter[str] = Counter()
        self._lag = 0.0
        self._retries = 0

    async def run(self) -> Report:
        plan = self._plan
        quick = plan.connections - plan.slow
        kept = [number < plan.kept for number in range(plan.connections)]
        random.Random(plan.connections).shuffle(kept)  # noqa: S311 (always the same mix)
        self._begun = time.monotonic()
        asyncio.get_running_loop().add_reader(sys.stdin, self._end_of_input)
        await asyncio.gather(
            self._watch_itself(),
            *(
                self._work(kept[n], "/quick", 0, n / plan.rate, quick / plan.rate)
                for n in range(quick)
            ),
            *(
                self._work(
                    kept[quick + n], "/slow", plan.work, plan.work * n / plan.slow, plan.work
                )
                for n in range(plan.slow)
            ),
        )
        return self._report()

    def _end_of_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._stop.set()
            asyncio.get_running_loop().remove_reader(sys.stdin)

    async def _work(self, kept: bool, path: str, work: float, first: float, every: float) -> None:
        """One connection's requests: at `first`, and then `every` so many seconds, or as soon as it can."""
        client = Client(self._plan, kept=kept)
        due = self._begun + first
        while not await self._wait_until(due):
            await self._one(client, path, work)
            due += every
            if work:
                due = max(due, time.monotonic())
        client.close()
        self._retries += client.retries

    async def _one(self, client: Client, path: str, work: float) -> None:
        begun = time.monotonic()
        at = begun - self._begun
        try:
            async with asyncio.timeout(PATIENCE):
                self._bodies[await client.ask(path)] += 1
        except (OSError, ClosedError, BadAnswerError, TimeoutError) as error:
            client.close()
            self._failures.append(f"{at:.2f} s: {path} {type(error).__name__} {error}")
        else:
            self._beyond.append((time.monotonic() - begun - work, at, path))

    async def _wait_until(self, due: float) -> bool:
        """Wait; returns whether it is over."""
        left = due - time.monotonic()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stop.wait()
        return self._stop.is_set()

    async def _watch_itself(self) -> None:
        while not self._stop.is_set():
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self._lag = max(self._lag, time.monotonic() - due)

    def _report(self) -> Report:
        seconds = time.monotonic() - self._begun
        times = sorted(self._beyond)
        return Report(
            requests=len(times) + len(self._failures),
            seconds=seconds,
            rate=len(times) / seconds,
            failures=len(self._failures),
            failed=self._failures[:20],
            retries=self._retries,
            median=times[len(times) // 2][0] if times else 0,
            p99=times[len(times) * 99 // 100][0] if times else 0,
            beyond=times[-1][0] if times else 0,
            slowest=[
                f"{at:.2f} s: {path} {beyond * 1000:.0f} ms" for beyond, at, path in times[-8:]
            ],
            own_lag=self._lag,
            bodies=dict(self._bodies),
        )


class Load:
    """The generator in a process of its own, for as long as the block runs; then `report` is there."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__)), json.dumps(asdict(self.plan))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        process = self._process
        assert process is not None
        try:
            said, _ = process.communicate(timeout=PATIENCE + 10)
        finally:
            process.kill()
            process.wait()
        self.report = Report(**json.loads(said))


def _plan(argv: list[str]) -> Plan:
    if len(argv) == 1 and argv[0].startswith("{"):
        return Plan(**json.loads(argv[0]))
    parser = argparse.ArgumentParser(description="Steady load, until Ctrl-D.")
    parser.add_argument("port", type=int)
    parser.add_argument("host")
    for name, default in (
        ("rate", 240.0),
        ("connections", 32),
        ("slow", 0),
        ("kept", 0),
        ("work", 1.0),
        ("body", ".*"),
        ("trust", ""),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    values: dict[str, Any] = vars(parser.parse_args(argv))
    return Plan(**values)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(Generator(_plan(sys.argv[1:])).run())), indent=1))
