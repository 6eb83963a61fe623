"""A certificate authority of its own for tests: Debian's pebble, and the DNS server that comes with it.

    with Pebble(folder, http_port=server.http_port) as authority:
        authority.directory     # what ACME_ROOT_CA is to be
        authority.ca            # who vouches for its own HTTPS address: LEGO_CA_CERTIFICATES, CURL_CA_BUNDLE
        authority.root()        # who vouches for the certificates it issues

It forgets everything when it is stopped, as a new authority at the same address would have.

It is reached over a connection of some milliseconds, as a real one is: otherwise lego always asks too early
whether a challenge was met, and then waits for five seconds. That connection can also be made to hang.
"""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sandbox import HOST, Sandbox, SandboxError, free_ports, tail

YEAR = 365 * 86400


class Distance:
    """A connection to a port of this machine: each piece that is sent there arrives later."""

    def __init__(self, target: int, delay: float = 0.03) -> None:
        self.delay = delay
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.hang(False)

    def hang(self, hanging: bool = True) -> None:
        """Let nothing through any more, or again."""
        self._loop.call_soon_threadsafe(self._open.clear if hanging else self._open.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        start = asyncio.start_server(self._serve, sock=self._listener)
        self._loop.run_until_complete(start)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(HOST, self._target)
            await asyncio.gather(self._pass(reader, back, self.delay), self._pass(there, writer, 0))
        writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
    ) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(delay)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


class Pebble:
    """The authority; it looks for challenges at `http_port` of this machine, whatever the name.

    lifetime: seconds for which its certificates are valid. env: more of pebble's own variables.
    """

    def __init__(
        self,
        base: Path,
        *,
        http_port: int,
        lifetime: int = YEAR,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.base = base
        self.lifetime = lifetime
        self.log = base / "pebble.log"
        self.ca = base / "ca.pem"
        self.env = dict(env or {})
        self._http_port = http_port
        self._port, self._management, self._dns, self._records = free_ports(4)
        self.distance = Distance(self._port)
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def directory(self) -> str:
        """The URL that a client is given."""
        return f"https://localhost:{self.distance.port}/dir"

    @property
    def resolver(self) -> str:
        """The DNS server that answers for every name, HOST:PORT."""
        return f"{HOST}:{self._dns}"

    @property
    def records(self) -> str:
        """Where TXT records are added: POST to /set-txt and /clear-txt."""
        return f"http://{HOST}:{self._records}"

    def client_env(self) -> dict[str, str]:
        """What lego, and curl in acme.sh, need to trust the authority's own address."""
        return {"LEGO_CA_CERTIFICATES": str(self.ca), "CURL_CA_BUNDLE": str(self.ca)}

    def __enter__(self) -> Self:
        self.base.mkdir(parents=True, exist_ok=True)
        if not self.ca.exists():
            self._make_address()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.stop()
        self.distance.close()

    def start(self, *, lifetime: int | None = None) -> None:
        self.lifetime = lifetime or self.lifetime
        config = self.base / "pebble.json"
        config.write_text(json.dumps({"pebble": self._config()}))
        dns = ["pebble-challtestsrv", "-defaultIPv4", HOST, "-defaultIPv6", "", "-dns01", self.resolver,
               "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{HOST}:{self._records}"]  # fmt: skip
        ca = ["pebble", "-config", str(config), "-dnsserver", self.resolver, "-strict"]
        # By default it waits for up to 15 s before each look, and forgets to look again at half of the names.
        env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", **self.env}
        with self.log.open("ab") as log:
            self._running = [_started(command, log, env) for command in (dns, ca)]
        for port in (self._records, self._port, self._management):
            Sandbox.wait(lambda port=port: self._answers(port), 20, "the authority answers")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers at its address while the block runs; afterwards it has forgotten everything."""
        self.root()
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It can be reached and says nothing while the block runs."""
        self.distance.hang()
        try:
            yield
        finally:
            self.distance.hang(False)

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait()
        self._running = []

    def root(self) -> Path:
        """A file with what vouches for everything this authority ever issued."""
        context = ssl.create_default_context(cafile=str(self.ca))
        url = f"https://localhost:{self._management}/roots/0"
        with urllib.request.urlopen(url, context=context) as answer:
            found = answer.read().decode()
        place = self.base / "root.pem"
        known = place.read_text() if place.exists() else ""
        if found not in known:
            place.write_text(known + found)
        return place

    def issued(self) -> int:
        """How many certificates it has issued since it was first started."""
        return self.log.read_text(errors="replace").count("Issued certificate serial")

    def orders(self) -> int:
        """How many it was asked for."""
        return self.log.read_text(errors="replace").count("Added order ")

    def _config(self) -> dict[str, Any]:
        return {
            "listenAddress": f"{HOST}:{self._port}",
            "managementListenAddress": f"{HOST}:{self._management}",
            "certificate": str(self.base / "address.pem"),
            "privateKey": str(self.base / "address.key"),
            "httpPort": self._http_port,
            "tlsPort": 1,
            "certificateValidityPeriod": self.lifetime,
        }

    def _answers(self, port: int) -> bool:
        if any(process.poll() is not None for process in self._running):
            raise SandboxError(f"the authority ended\n{tail(self.log)}")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5):
            return True
        return False

    def _make_address(self) -> None:
        """The certificate of its own HTTPS address, and who vouches for that."""
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "30"]  # fmt: skip
        authority = [
            "-subj",
            "/CN=test",
            "-keyout",
            str(self.base / "ca.key"),
            "-out",
            str(self.ca),
        ]
        address = [
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext",
            "basicConstraints=CA:FALSE", "-CA", str(self.ca), "-CAkey", str(self.base / "ca.key"),
            "-keyout", str(self.base / "address.key"), "-out", str(self.base / "address.pem"),
        ]  # fmt: skip
        for rest in (authority, address):
            subprocess.run([*new, *rest], check=True, capture_output=True)


def _started(command: list[str], log: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        env={"PATH": os.environ["PATH"], **env},
    )  # fmt: skip
