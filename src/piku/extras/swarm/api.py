"""The API of the Docker engine of this server (Docker Engine API 1.41), over its socket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from piku import dotenv
from piku.errors import PikuError
from piku.extras.swarm.settings import DOCKER_HOST
from piku.paths import Paths
from piku.uwsgi.emperor import VassalName

if TYPE_CHECKING:
    from http.client import HTTPConnection

_VERSION = "/v1.41"  # that of Debian 12
_TIMEOUT = 20.0  # seconds
# The states of a task that has ended, or will never run.
ENDED = ("complete", "shutdown", "failed", "rejected", "orphaned", "remove")


class Refused(PikuError):
    """The engine answered, and said no; `status` is that of HTTP."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Engine:
    """The engine behind a socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def of(cls, paths: Paths) -> Engine:
        """The engine of this server, as its ENV says."""
        values = dotenv.load(paths.server_env, {})
        return cls(DOCKER_HOST.read(values))

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}
    ) -> Any:
        """Its answer; raises Refused, or PikuError when it does not answer."""
        from piku.extras.swarm.connection import FAILED, Connection

        connection = Connection(self._path, _TIMEOUT)
        try:
            return self._call(connection, method, path, body, headers)
        except FAILED as error:
            hint = "is docker.io installed, and may this user use it? docs/scaling-out.md says how"
            if isinstance(error, PermissionError):
                hint = "root allows it: adduser piku docker (as powerful as root), then restart"
            what = f"the Docker engine at {self._path} does not answer: {error}"
            raise PikuError(what, hint=hint) from None
        finally:
            connection.close()

    @staticmethod
    def _call(
        connection: HTTPConnection, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> Any:
        text = None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/json"} if text else {}
        connection.request(method, f"{_VERSION}{path}", text, {**kind, **headers})
        answer = connection.getresponse()
        content = answer.read()
        found = json.loads(content) if content[:1] in (b"{", b"[", b'"') else None
        if answer.status >= 400:
            said = found.get("message", "") if isinstance(found, dict) else content[:200].decode()
            raise Refused(answer.status, f"the Docker engine refuses: {said}")
        return found

    def listing(self, what: str, **filters: Iterable[str]) -> list[Any]:
        """The objects of a kind ("services", "tasks") that match."""
        text = json.dumps({name: list(values) for name, values in filters.items()})
        found: list[Any] = self.call("GET", f"/{what}?filters={quote(text)}")
        return found or []

    def tasks(self, vassal: VassalName) -> list[Any]:
        """The tasks of a vassal, also of one whose service is being removed; the newest first."""
        found = self.listing("tasks", label=[f"piku.group={group(vassal)}"])
        own = (task for task in found if task.get("Slot") == vassal.instance)
        return sorted(own, key=lambda task: str(task["CreatedAt"]), reverse=True)

    def addresses(self) -> Mapping[str, str]:
        """The addresses of the nodes that are ready, by their ids."""
        nodes = self.call("GET", "/nodes")
        return {one["ID"]: address_of(one) for one in nodes if one["Status"]["State"] == "ready"}

    def create(self, what: str, body: Any, headers: Mapping[str, str] = {}) -> None:
        """Make an object; one that is there is fine."""
        try:
            self.call("POST", f"/{what}/create", body, headers)
        except Refused as error:
            if error.status != 409:
                raise

    def remove(self, what: str, name: str) -> None:
        """Remove an object; one that is gone is fine."""
        try:
            self.call("DELETE", f"/{what}/{quote(name)}")
        except Refused as error:
            if error.status != 404:
                raise

    def log(self, task: str, since: float) -> Iterator[bytes]:
        """What a task writes from then on, until it or the engine ends."""
        from piku.extras.swarm.connection import FAILED, Connection

        connection = Connection(self._path, None)
        try:
            query = f"stdout=1&stderr=1&follow=1&since={since:.9f}"
            connection.request("GET", f"{_VERSION}/tasks/{quote(task)}/logs?{query}")
            answer = connection.getresponse()
            # Each part has a head of eight bytes, of which the last four are its length.
            while answer.status == 200 and len(head := answer.read(8)) == 8:
                yield answer.read(int.from_bytes(head[4:]))
        except FAILED:
            return
        finally:
            connection.close()


def address_of(node: Mapping[str, Any]) -> str:
    """A manager may not know its own address but as the one that others reach it by."""
    manager: str = node.get("ManagerStatus", {}).get("Addr", "").rpartition(":")[0]
    return manager or str(node["Status"].get("Addr", ""))


def group(vassal: VassalName) -> str:
    """What the vassals of one service share."""
    return f"{vassal.app}@{vassal.start}.{vassal.kind}"


def piku_id(paths: Paths) -> str:
    """What the services of this piku have as their label, among those of others."""
    return f"{os.uname().nodename}:{paths.root}"
