"""The same work by bare tools, with nothing of Piku in between: git and a hook, nginx, uWSGI."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import processes
from laptop import HOST
from sandbox import Sandbox, free_ports

# With the specification's own default for the requests of a process, and its log.
UWSGI = (
    "/usr/bin/uwsgi --plugin python3 --master --die-on-term --processes 1 --threads 4"
    " --enable-threads --max-requests 1024 --log-format '%(addr) - %(user) [%(ltime)]"
    ' "%(method) %(uri) %(proto)" %(status) %(size) "%(referer)" "%(uagent)" %(msecs)ms\''
)

# Checks out, builds what there is to build, starts the server and waits for its first answer.
HOOK = """\
#!/bin/sh
set -e
export GIT_DIR="$PWD"
cd {folder}
git --work-tree={folder} checkout -q -f main
{build}
read -r number old <../{name}.old || number=0
number=$((number + 1))
set -- {ports}
shift $((number % $#))  # the one before may still be ending
port=$1
{start}
until curl -fs -o /dev/null http://127.0.0.1:{port}/; do sleep 0.005; done
kill $old 2>/dev/null || true
echo $number $! >../{name}.old
"""
STARTS = {
    "wsgi": f"{UWSGI} {{venv}} --http-socket 127.0.0.1:$port --wsgi-file app.py"
    " --logto ../{name}.log </dev/null >/dev/null 2>&1 &",
    "web": "PORT=$port BIND_ADDRESS=127.0.0.1 python3 server.py </dev/null >../{name}.log 2>&1 &",
    "static": "true &",
}

# What a careful person writes: the five lines of the specification ("Static File Optimization"),
# compression, a log, connections that are kept.
NGINX = """\
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include /etc/nginx/mime.types;
    server_names_hash_bucket_size 128; server_names_hash_max_size 2048;
    sendfile on; sendfile_max_chunk 1m; tcp_nopush on; directio 8m; aio threads;
    gzip on; gzip_vary on; gzip_types text/css text/plain application/javascript;
    keepalive_timeout 65s;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    ssl_session_cache shared:all:1m;
{servers}
}}
"""
SERVER = """\
    server {{
        listen {host}:{http};
        {secure}
        server_name {name};
        access_log {log} combined;
        location / {{ {content} }}
    }}
"""


SECURE = "listen {host}:{https} ssl http2; ssl_certificate {pem}; ssl_certificate_key {pem};"


class Bare:
    """Bare tools beside a server of Piku's: the same sshd, the same user, the same machine."""

    def __init__(self, server: Sandbox) -> None:
        self.server = server
        self.folder = server.base / "bare"
        self.folder.mkdir()
        self.http, self.https = free_ports(2)
        self.key = server.keygen(server.client / ".ssh" / "bare", comment="bare")
        with (server.home / ".ssh" / "authorized_keys").open("a") as keys:
            keys.write(self.key.with_suffix(".pub").read_text())

    def ssh(self, *words: str) -> list[str]:
        return ["ssh", *self.server.ssh_options(self.key), self.server.address, *words]

    def repository(self, name: str, kind: str, *, build: str = "", venv: str = "") -> str:
        """A bare repository with such a hook; its address."""
        place, folder = self.folder / f"{name}.git", self.folder / name
        folder.mkdir()
        self.server.git(self.folder, "init", "-q", "--bare", "-b", "main", str(place))
        ports = " ".join(map(str, free_ports(16)))
        (self.folder / f"{name}.old").touch()
        start = STARTS[kind].format(name=name, venv=venv)
        port = str(self.http) if kind == "static" else "$port"
        values = {"folder": folder, "name": name, "build": build, "start": start, "port": port}
        hook = place / "hooks" / "post-receive"
        hook.write_text(HOOK.format(ports=ports, **values))
        hook.chmod(0o755)
        return f"{self.server.address}:{place}"

    def push(self, repository: Path, address: str) -> list[str]:
        """The command that pushes there: to an app, or with a key that is bound to no command."""
        key = self.key if ".git" in address else None
        ssh = shlex.join(["ssh", *self.server.ssh_options(key)])
        words = ["-C", str(repository), "-c", f"core.sshCommand={ssh}"]
        return ["git", *words, "push", "-q", address, "main"]

    def env(self) -> dict[str, str]:
        """That of a client; which key ssh uses is in the command."""
        env = self.server.git_env()
        del env["GIT_SSH_COMMAND"]
        return env

    def run(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """Start something that the server's end also ends."""
        with (self.folder / "run.log").open("ab") as log:
            return subprocess.Popen(
                command, env={**self.server.server_env(), **env}, cwd=self.folder, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def nginx(
        self, servers: Iterable[tuple[str, str, Path | None]], upstreams: str = ""
    ) -> subprocess.Popen[bytes]:
        """nginx for these servers: name, what the location "/" says, certificate for HTTPS."""
        text = ""
        for name, content, pem in servers:
            secure = SECURE.format(host=HOST, https=self.https, pem=pem) if pem else ""
            log = self.folder / f"{name}.access.log"
            text += SERVER.format(
                host=HOST, http=self.http, secure=secure, name=name, content=content, log=log
            )
        conf = self.folder / "nginx.conf"
        conf.write_text(
            NGINX.format(
                folder=self.folder,
                servers=upstreams + text,
                workers=os.cpu_count(),
                connections=self.connections(),
            )
        )
        started = self.run("/usr/sbin/nginx", "-c", str(conf), "-e", str(self.folder / "error.log"))
        self.server.wait(lambda: accepts(self.http), timeout=60)
        return started

    def connections(self) -> str:
        """As many as Piku's nginx may have: they take most of an idle nginx's memory."""
        return re.findall(
            r"worker_connections (\d+)", (self.server.root / "nginx.conf").read_text()
        )[0]

    def stop(self, running: subprocess.Popen[bytes]) -> None:
        running.terminate()
        running.wait()
        self.server.wait(lambda: not accepts(self.http), timeout=60)


def accepts(port: int) -> bool:
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://{HOST}:{port}/"], check=False)
    return done.returncode == 0


def reload(master: int) -> None:
    """Have nginx load its configuration anew, and wait until no old worker takes connections."""
    before = {each.pid for each in processes.tree(master)} - {master}
    os.kill(master, signal.SIGHUP)

    def switched() -> bool:
        now = [each for each in processes.tree(master) if each.pid != master]
        accepting = {one.pid for one in now if not re.search("shutting down|cache", str(one))}
        return bool(accepting) and not accepting & before

    Sandbox.wait(switched, timeout=120)
