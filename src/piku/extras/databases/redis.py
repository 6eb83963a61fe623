"""Redis, or Valkey: a server for each app, as it has no walls between the databases of one."""

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.databases.base import Daemon, Database, Program
from piku.extras.databases.kind import Check, Kind
from piku.paths import TEMPLATES


class Redis(Kind):
    name, title, variable, package, user = "redis", "Redis", "REDIS_URL", "redis-server", "piku"
    programs, socket_name = ("redis-server", "valkey-server"), "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://:{self.one.password}@{quote(str(self.socket))}?db=0"

    @property
    def visible(self) -> Path:
        """Named by the last word alone: a socket's whole path has 107 characters."""
        return self.run / self.one.name.rpartition("-")[2]

    def _data(self, later: int = 0) -> Path:
        return self.folder / self.one.name / f"data.{self.one.number + later}"

    def prepare(self) -> None:
        administrator, own = self.administrator, self.folder / self.one.name / "own.conf"
        for folder in (self._data(), self.visible):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not own.exists():
            files.write(own, "maxmemory 64mb\n", mode=0o600)
        text = (TEMPLATES / "redis.conf").read_text()
        for name, value in {
            "SOCKET": str(self.socket), "PASSWORD": self.one.password, "OWN": str(own),
            "USER": administrator.name, "ADMINISTRATOR": administrator.password,
        }.items():  # fmt: skip
            text = text.replace(f"@{name}@", value)
        files.write(own.with_name("redis.conf"), text, mode=0o600, durable=True)

    def daemon(self) -> Daemon | None:
        configuration = self.folder / self.one.name / "redis.conf"
        if not configuration.exists():
            return None
        argv = [_redis("server"), str(configuration), "--dir", str(self._data())]
        # Its successor must not read what it still writes. It has handed all that to the kernel.
        return Daemon(name=f"redis-{self.one.name}", argv=argv, orphaned="KILL")

    def _ask(self, *words: str) -> Program:
        """As the administrator."""
        argv = [*self.connect().argv, "--user", self.administrator.name, *words]
        return Program(argv=argv, env={"REDISCLI_AUTH": self.administrator.password})

    def is_ready(self) -> bool:
        """Whether it answers, with the files that it should have."""
        program = self._ask("config", "get", "dir")
        env = {**subprocesses.environment(), **program.env}
        said = subprocesses.run(program.argv, env=env, check=False, merged=True)
        return str(self._data()) in said.splitlines() or "WRONGPASS" in said

    def ensure(self) -> None:
        self._ask("-e", "acl", "whoami").run()

    def drop(self) -> None:
        files.discard([self.folder / self.one.name, self.visible])

    def connect(self) -> Program:
        argv = [_redis("cli"), "-s", str(self.socket)]
        return Program(argv=argv, env={"REDISCLI_AUTH": self.one.password})

    def dump(self) -> Program:
        return self._ask("--rdb", "-")

    def restore(self, file: Path, _check: Check) -> Database:
        """Lay the dump where a server begins with it. It starts there once the record says so."""
        said = subprocesses.run([_redis("check-rdb"), str(file)], check=False)
        if not (end := re.search(r"offset (\d+)\] Checksum OK", said)):
            raise PikuError("the dump is damaged, or is none of Redis")
        os.truncate(file, int(end[1]))  # what redis-cli adds is no part of it
        files.discard([self._data(-1)])
        self.one = replace(self.one, number=self.one.number + 1)
        files.discard([self._data()])
        first = self._data() / "appendonlydir" / "appendonly.aof.1.base.rdb"
        first.parent.mkdir(mode=0o700, parents=True)
        os.replace(file, first)
        manifest = first.with_name("appendonly.aof.manifest")
        files.write(manifest, f"file {first.name} seq 1 type b\n", mode=0o600)
        with files.syncing(self._data()):
            pass
        return self.one

    def info(self) -> tuple[str, str]:
        lines = self._ask("-e", "info").run().splitlines()
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        size = f"{said['used_memory_human']} of {said['maxmemory_human']}"
        return said["redis_version"], size


def _redis(which: str) -> str:
    names = (f"redis-{which}", f"valkey-{which}")
    return next((name for name in names if subprocesses.which(name)), names[0])
