"""The apps that are measured, and how one becomes hundreds."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import environment
from checkout import CHECKOUT
from laptop import HOST
from sandbox import Sandbox

TEN = ("attrs", "click", "flask", "httpx", "jinja2", "pyyaml", "requests", "rich", "sqlalchemy", "werkzeug")  # fmt: skip
SIZES = {"2 kB": "/2k.txt", "1 MB": "/1m.txt"}
KINDS = {
    "static": "a file",
    "wsgi": "`wsgi`",
    "node": "`web`, node",
    "gunicorn": "`web`, gunicorn",
    "golang": "`web`, Go",
    "parts": "`web`, Python's http.server",
}
NEEDED = {"node": "node", "golang": "go"}

WSGI = """\
def app(environ, start_response):
    body = b"x" * (1 << 20 if "1m" in environ["PATH_INFO"] else 2048)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
application = app
"""
NODE = """\
const bodies = [Buffer.alloc(2048, "x"), Buffer.alloc(1 << 20, "x")]
require("http").createServer((request, response) => {
  const body = bodies[+request.url.includes("1m")]
  response.writeHead(200, {"Content-Type": "text/plain", "Content-Length": body.length})
  response.end(body)
}).listen(process.env.PORT, process.env.BIND_ADDRESS)
"""
GO = """\
package main

import ("bytes"; "net/http"; "os"; "strconv"; "strings")

func main() {
	small, large := bytes.Repeat([]byte("x"), 2048), bytes.Repeat([]byte("x"), 1<<20)
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		body := small
		if strings.Contains(request.URL.Path, "1m") { body = large }
		answer.Header().Set("Content-Type", "text/plain")
		answer.Header().Set("Content-Length", strconv.Itoa(len(body)))
		answer.Write(body)
	})
	http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil)
}
"""
PARTS = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * (1 << 20 if "1m" in self.path else 2048)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 128
Server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""


def files(kind: str, name: str | None = None) -> dict[str, str]:
    """A repository of an app of this kind; its host is the name, with .localhost, or localhost."""
    web = (CHECKOUT / "examples" / "web" / "server.py").read_text()
    of_kind: Mapping[str, Mapping[str, str]] = {
        "static": {"Procfile": "static: public\n", "public/index.html": "<h1>Hello</h1>\n"
                   } | {f"public{path}": "x" * (2048 if "2" in path else 1 << 20) for path in SIZES.values()},
        "wsgi": {"Procfile": "wsgi: app:app\n", "requirements.txt": "", "app.py": WSGI},
        "web": {"Procfile": "web: exec python3 server.py\n", "server.py": web},
        "node": {"Procfile": "web: exec node server.js\n", "package.json": "{}\n", "server.js": NODE},
        "gunicorn": {"Procfile": "web: exec gunicorn -k gthread --threads 4 -b $BIND_ADDRESS:$PORT app:app\n",
                     "requirements.txt": "gunicorn\n", "app.py": WSGI},
        "golang": {"Procfile": "web: bin/hello\n", "go.mod": "module hello\n\ngo 1.19\n", "main.go": GO},
        "parts": {"Procfile": "web: exec python3 server.py\n", "server.py": PARTS},
    }  # fmt: skip
    return {
        **of_kind[kind],
        "ENV": f"NGINX_SERVER_NAME={kind if name is None else name}.localhost\n".replace("=.", "="),
    }


def runs(kind: str) -> bool:
    """Whether this machine has what such an app needs."""
    return kind not in NEEDED or shutil.which(NEEDED[kind], path=environment.PATH) is not None


def names(seed: str, count: int) -> list[str]:
    """The app `seed`, and those that `multiply` made of it."""
    return [seed, *(f"{seed}{number}" for number in range(1, count))]


def multiply(server: Sandbox, seed: str, count: int) -> None:
    """Have `count` apps like the app `seed`, whose name no other text of its files contains: by
    copies of its files, as pushing each would take minutes. The platform starts anew."""
    new = [name for name in names(seed, count) if not (server.root / "repos" / name).exists()]
    if not new:
        return
    server.stop_platform()
    for name in new:
        for folder in ("repos", "releases", "envs", "logs", "data", "cache", "apps", "nginx", "uwsgi-available"):  # fmt: skip
            for source in sorted((server.root / folder).glob(f"{seed}*")):
                if source.name == seed or source.name.startswith((f"{seed}@", f"{seed}.")):
                    _copy(source, source.with_name(source.name.replace(seed, name)), seed, name)
    server.start_platform(timeout=300)


def _copy(source: Path, target: Path, seed: str, name: str) -> None:
    if source.is_symlink():
        target.symlink_to(os.readlink(source).replace(seed, name))
    elif source.is_dir():
        if source.name == "__pycache__":  # it has paths with their lengths
            return
        target.mkdir(mode=source.stat().st_mode)
        for inner in source.iterdir():
            _copy(inner, target / inner.name.replace(seed, name), seed, name)
    elif source.is_file():
        target.write_bytes(source.read_bytes().replace(seed.encode(), name.encode()))
        shutil.copystat(source, target)


def age(server: Sandbox, repository: Path, app: str, count: int) -> None:
    """Have the app look as after `count` releases, each of a commit of its own."""
    have = int(server.git(repository, "rev-list", "--count", "HEAD").stdout)
    commits = (
        f"commit refs/heads/main\ncommitter Sandbox <sandbox@localhost> {1700000000 + number} +0000\n"
        f"data 6\nChange\n{'from refs/heads/main^0' if number == have else ''}\n"
        for number in range(have, count)
    )  # fmt: skip
    text = "".join(commits)
    if text:
        subprocess.run(["git", "fast-import", "--quiet"], input=text, text=True, check=True, cwd=repository,
                       env=server.git_env())  # fmt: skip
        server.git(repository, "reset", "-q", "--hard")
    folder = server.root / "releases" / app
    live = json.loads((folder / "live.json").read_text())
    record = json.loads((folder / f"v{live['release']}.json").read_text())
    for number in range(live["release"] + 1, count + 1):
        (folder / f"v{number}.json").write_text(json.dumps({**record, "number": number}))
    live["release"] = max(count, live["release"])
    (folder / "live.json").write_text(json.dumps(live))


def all_answer(port: int, hosts: Iterable[str]) -> bool:
    """Whether the app at each of these hosts answers well."""
    for host in hosts:
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/", headers={"Host": f"{host}.localhost"})
                if connection.getresponse().status != 200:
                    return False
            except OSError:
                return False
    return True
