"""What the end-to-end tests share: an app and its client's repository, and how to read what piku says."""

import hashlib
import http.client
import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Completed, Sandbox

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).parent / "apps"

SERVER = (APPS / "server.py").read_text()
WORKER = (APPS / "worker.py").read_text()
WSGI = (APPS / "app.py").read_text()
WEB = "web: exec python3 -IS server.py\n"
NO_EXTRAS = os.environ.get("PIKU_EXTRAS") == "none"  # the servers have no extras


@dataclass(frozen=True, kw_only=True)
class App:
    """An app on the server, with the repository on the client from which it is pushed."""

    server: Sandbox
    name: str
    repository: Path

    @property
    def host(self) -> str:
        return f"{self.name.lower()}.localhost"

    def commit(self, message: str = "Change", **files: str | None) -> str:
        """Commit files given as keywords: `version_txt="two"`; names without an ending as they are."""
        named = {re.sub(r"_(?=[a-z]+$)", ".", name): text for name, text in files.items()}
        return self.server.commit(self.repository, named, message)

    def push(self, ref: str = "main", *options: str) -> Completed:
        return self.server.push(self.repository, self.name, ref, *options)

    def deployed(self, ref: str = "main", *options: str) -> list[str]:
        """Push, and see that it went well; the lines of the transcript."""
        return succeeded(self.push(ref, *options))

    def failed(self, ref: str = "main", *options: str) -> list[str]:
        """Push, and see that it failed as it should; the lines of the transcript."""
        result = self.push(ref, *options)
        assert result.returncode == 1, result.stdout
        assert "Traceback" not in result.stdout
        assert "piku itself failed" not in result.stdout
        return transcript(result)

    def says(self, command: str, *args: str) -> Completed:
        """`piku COMMAND APP ARGS`, on the server: a login over SSH takes most of the time of a test."""
        return self.server.piku(command, self.name, *args)

    def asked(
        self, command: str, *args: str, input: str | None = None, tty: bool = False
    ) -> Completed:
        """`ssh piku@server COMMAND APP ARGS`, each of ARGS quoted."""
        return self.server.ssh(shlex.join([command, self.name, *args]), input=input, tty=tty)

    def does(self, command: str, *args: str) -> str:
        """A command on the server that must succeed; what it printed on standard output."""
        result = self.says(command, *args)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def releases(self) -> list[dict[str, Any]]:
        """The releases, the newest first."""
        found: list[dict[str, Any]] = json.loads(self.does("releases", "--json"))
        return found

    def live(self) -> int:
        return next(int(release["number"]) for release in self.releases() if release["live"])

    def ps(self) -> dict[str, dict[str, Any]]:
        """The processes by their name, once those that are being stopped have ended."""
        rows: list[dict[str, Any]] = []

        def settled() -> bool:
            rows[:] = json.loads(self.does("ps", "--json"))
            return not any(row["state"] == "stopping" for row in rows)

        self.server.wait(settled)
        assert len({row["process"] for row in rows}) == len(rows)
        return {row["process"]: row for row in rows}

    def body(self, path: str = "/", *, https: bool = False, host: str = "") -> str:
        status, _, body = self.server.get(host or self.host, path, https=https)
        assert status == 200, (status, body)
        return body.decode()

    def status(self, path: str = "/", *, https: bool = False) -> int:
        return self.server.get(self.host, path, https=https)[0]

    def about(self, *, https: bool = False, host: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body("/about", https=https, host=host))
        return found

    def direct(self, port: int, path: str = "/", address: str = "127.0.0.1") -> str:
        """What the app answers where it listens, without nginx."""
        connection = http.client.HTTPConnection(address, port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    @property
    def data(self) -> Path:
        return self.server.root / "data" / self.name


def transcript(result: Completed) -> list[str]:
    """What piku said during a push, without git's "remote: " and the spaces it pads with."""
    lines = [line.rpartition("\r")[2] for line in result.stdout.splitlines()]
    return [
        line.removeprefix("remote:")[1:].rstrip() for line in lines if line.startswith("remote:")
    ]


def succeeded(result: Completed) -> list[str]:
    assert result.returncode == 0, result.stdout + result.stderr
    return transcript(result)


def refused(result: Completed, code: int, *words: str) -> str:
    """See that a command was refused in one line with a hint, in Heroku's shape; that text."""
    said = result.stderr
    assert result.returncode == code, (result.args, result.returncode, result.stdout, said)
    assert "Traceback" not in said + result.stdout
    lines = said.splitlines()
    assert 1 <= len(lines) <= 2, said
    assert all(line.startswith(" !     ") for line in lines), said
    for word in words:
        assert word in said, said
    return said


def running(command: str) -> list[int]:
    """The numbers of the processes with this command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().replace(b"\0", b" ").strip() == command.encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder with what it holds, to see that nothing has changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path)] = (
                f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            )
        elif path.is_dir():
            found[str(path)] = f"{path.stat().st_mode:o}"
    return found


def web(name: str, *, env: str = "", procfile: str = "", **files: str) -> Mapping[str, str]:
    """The files of a `web` app that has the host name NAME.localhost."""
    own = {
        "Procfile": WEB + procfile,
        "server.py": SERVER,
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\n{env}",
    }
    return {**own, **{name.replace("_", "."): text for name, text in files.items()}}


def wsgi(name: str, *, env: str = "", procfile: str = "") -> Mapping[str, str]:
    """The files of a `wsgi` app that has the host name NAME.localhost, and needs no virtualenv."""
    return {
        "Procfile": "wsgi: app:app\n" + procfile,
        "app.py": WSGI,
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\n{env}",
    }


def ssh_with(folder: Path, options: Sequence[str]) -> None:
    """Make a program `ssh` in a folder, which always has these options, such as a key."""
    folder.mkdir(exist_ok=True)
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(["/usr/bin/ssh", *options])} "$@"\n')
    program.chmod(0o755)


def ssh_to_itself(server: Sandbox, folder: Path) -> None:
    """Let the server's user log in as itself without a forced command, by an `ssh` in a folder."""
    key = server.keygen(server.base / "plain")
    with (server.home / ".ssh" / "authorized_keys").open("a") as keys:
        keys.write((server.base / "plain.pub").read_text())
    ssh_with(folder, server.ssh_options(key))


def own_certificate(app: App, *hosts: str, days: int = 90) -> str:
    """Give an app a certificate of its own for these names; what piku keeps of it."""
    names = ",".join(f"DNS:{host}" for host in hosts)
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName={names}",
         "-keyout", "-", "-out", "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    said = app.server.piku("certs:add", app.name, "-", input=made)
    assert said.returncode == 0, said.stderr
    return (app.server.root / "nginx" / f"{app.name}@own.pem").read_text()
