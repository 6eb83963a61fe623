"""Steady load on one app, with every request accounted for.

Arrivals are by the clock: a server that stalls is not asked less for it. The generator is a process
of its own, which runs until its standard input is closed and then prints what it saw as JSON.
"""

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
from typing import Self

HOST = "127.0.0.1"

PATIENCE = 20.0  # seconds after which a request has failed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`rate` quick requests a second, and `slow` connections that ask for requests of `work`
    seconds.

    Of the connections `kept` are kept alive, the others are fresh for each request. They are TLS,
    and must be for this host, when a file of certificates to `trust` is given.
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
    rate: float = 0
    failures: int = 0
    failed: list[str] = field(default_factory=list)  # the first of them
    beyond: float = 0
    slowest: list[str] = field(default_factory=list)
    own_lag: float = 0  # how late this program itself was at most: a busy machine, not the server
    bodies: dict[str, int] = field(default_factory=dict)


class BadAnswerError(Exception):
    """An answer that is not the app's."""


class ClosedError(Exception):
    """The server ended the connection before it began to answer."""


class Client:
    """One connection at a time, fresh for each request unless kept alive."""

    def __init__(self, plan: Plan, *, kept: bool) -> None:
        self._plan = plan
        self._kept = kept
        self._tls = ssl.create_default_context(cafile=plan.trust) if plan.trust else None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str) -> str:
        """The body of the answer; raises when it is not what it should be."""
        reused = self._streams is not None
        try:
            return await self._ask(path)
        except (ClosedError, ConnectionResetError, BrokenPipeError):
            self.close()
            # RFC 9112, 9.3.1: a connection may be closed while it is idle; a client asks again.
            if not reused:
                raise
            return await self._ask(path)

    async def _ask(self, path: str) -> str:
        host, port = self._plan.host, self._plan.port
        if self._streams is None:
            name = host if self._tls else None
            self._streams = await asyncio.open_connection(
                HOST, port, ssl=self._tls, server_hostname=name
            )
        reader, writer = self._streams
        kept = "keep-alive" if self._kept else "close"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {kept}\r\n\r\n".encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
            raw = await (reader.readexactly(int(length[1])) if length else reader.read())
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BadAnswerError(f"cut off after {error.partial[-80:]!r}") from error
            raise ClosedError("closed without an answer") from error
        body = raw.decode(errors="replace").strip()
        if not self._kept or re.search(r"(?i)\r\nconnection: *close", head):
            self.close()
        if head.split(" ", 2)[1] != "200" or not re.fullmatch(self._plan.body, body):
            raise BadAnswerError(f"{head.splitlines()[0]} {body[:80]!r}")
        return body

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


class Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._begun = time.monotonic()
        self._beyond: list[tuple[float, float, str]] = []
        self._failures: list[str] = []
        self._bodies: Counter[str] = Counter()
        self._lag = 0.0

    async def run(self) -> Report:
        plan = self._plan
        quick = plan.connections - plan.slow
        kept = [number < plan.kept for number in range(plan.connections)]
        random.Random(plan.connections).shuffle(kept)
        asyncio.get_running_loop().add_reader(sys.stdin, self._end_of_input)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_itself())
            for n in range(quick):
                tasks.create_task(self._work(kept[n], 0, n / plan.rate, quick / plan.rate))
            for n in range(plan.slow):
                first = plan.work * n / plan.slow
                tasks.create_task(self._work(kept[quick + n], plan.work, first, plan.work))
        return self._report()

    def _end_of_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._stop.set()
            asyncio.get_running_loop().remove_reader(sys.stdin)

    async def _work(self, kept: bool, work: float, first: float, every: float) -> None:
        """One connection's requests: at `first`, then `every` so many seconds, or when it can."""
        client = Client(self._plan, kept=kept)
        due = self._begun + first
        while not await self._wait_until(due):
            await self._one(client, work)
            due = max(due + every, time.monotonic()) if work else due + every
        client.close()

    async def _one(self, client: Client, work: float) -> None:
        begun = time.monotonic()
        at, path = begun - self._begun, "/slow" if work else "/quick"
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
        times = sorted(self._beyond, reverse=True)
        return Report(
            requests=len(times) + len(self._failures),
            rate=len(times) / (time.monotonic() - self._begun),
            failures=len(self._failures),
            failed=self._failures[:20],
            beyond=times[0][0] if times else 0,
            slowest=[
                f"{at:.2f} s: {path} {beyond * 1000:.0f} ms" for beyond, at, path in times[:8]
            ],
            own_lag=self._lag,
            bodies=dict(self._bodies),
        )


class Load:
    """The generator in a process of its own while the block runs; then `report` is there."""

    def __init__(self, plan: Plan) -> None:
        self.report = Report()
        self._command = [sys.executable, "-B", str(Path(__file__)), json.dumps(asdict(plan))]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        with self._process as process:
            try:
                said, _ = process.communicate(timeout=PATIENCE + 10)
            finally:
                process.kill()
        self.report = Report(**json.loads(said))


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(Generator(Plan(**json.loads(sys.argv[1]))).run()))))
