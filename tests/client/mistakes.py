"""The commonest mistakes of people who deploy: the rows of docs/messages.md.

Each is made in a checkout of a working app, `shop`, on a laptop: files are committed over those of
the app, then the command is typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PUSH = "git push piku main"
SERVER = """\
import os
from http.server import HTTPServer, SimpleHTTPRequestHandler

address = (os.environ["BIND_ADDRESS"], int(os.environ["PORT"]))
HTTPServer(address, SimpleHTTPRequestHandler).serve_forever()
"""
PROCFILE = "web: python3 -u server.py\n"
ENV = "NGINX_SERVER_NAME=shop.localhost\n"
SHOP = {"Procfile": PROCFILE, "server.py": SERVER, "ENV": ENV, "index.html": "Welcome\n"}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """`before` and `after` are commands that nobody sees: they prepare it, and undo it."""

    title: str
    files: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    command: str = PUSH
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    code: int = 1
    says: tuple[str, ...]


WITH_PUSH = (
    Mistake(
        title="The repository has nothing that Piku knows how to run",
        gone=("Procfile", "server.py", "index.html"),
        says=("Procfile",),
    ),
    Mistake(
        title="A line of the Procfile has no command",
        files={"Procfile": PROCFILE + "worker:\n"},
        says=("Procfile line 2", "'worker' has no command"),
    ),
    Mistake(
        title="A process type is misspelled",
        files={"Procfile": PROCFILE.replace("web", "wbe")},
        says=("wbe", "web"),
    ),
    Mistake(
        title="A scheduled job does not say that it is one",
        files={"Procfile": PROCFILE + "backup: 0 3 * * * python3 backup.py\n"},
        says=("write 'cron-backup: 0 3 * * * python3 backup.py'",),
    ),
    Mistake(
        title="A schedule is wrong",
        files={"Procfile": PROCFILE + "cron-backup: 0 25 * * * python3 backup.py\n"},
        says=("25",),
    ),
    Mistake(
        title="A line of ENV is not a setting",
        files={"ENV": ENV + "export SECRET\n"},
        says=("ENV line 2",),
    ),
    Mistake(
        title="A setting is misspelled",
        files={"ENV": ENV + "NGINX_HTTPS_ONY=true\n"},
        says=("NGINX_HTTPS_ONY", "NGINX_HTTPS_ONLY"),
    ),
    Mistake(
        title="A setting has an invalid value",
        files={"ENV": ENV + "NGINX_HTTPS_ONLY=maybe\n"},
        says=("NGINX_HTTPS_ONLY=maybe",),
    ),
    Mistake(
        title="The host name belongs to another app",
        files={"ENV": "NGINX_SERVER_NAME=blog.localhost\n"},
        says=("blog.localhost", "'blog'"),
    ),
    Mistake(
        title="The app's name is misspelled",
        command="git push piku@server:shopp main",
        after=("ssh piku@server destroy shopp --force",),
        says=("shopp is a new app", "'shop'"),
    ),
    Mistake(
        title="A name that no app can have",
        command="git push piku@server:shop! main",
        code=128,  # git's own, for a server that takes no push
        says=("shop!",),
    ),
    Mistake(
        title="A static folder does not exist",
        files={"Procfile": "static: dist\n"},
        gone=("server.py",),
        says=("dist",),
    ),
    Mistake(
        title="The file with nginx directives has an error",
        files={"ENV": ENV + "NGINX_INCLUDE_FILE=nginx.conf\n", "nginx.conf": "gzp on;\n"},
        says=("gzp",),
    ),
    Mistake(
        title="The release command fails",
        files={
            "Procfile": PROCFILE + "release: python3 migrate.py\n",
            "migrate.py": 'raise SystemExit("no such table: orders")\n',
        },
        says=("no such table: orders",),
    ),
    Mistake(
        title="A module is not installed",
        files={"server.py": "import flask\n" + SERVER},
        says=("No module named 'flask'",),
    ),
    Mistake(
        title="The program has a syntax error",
        files={"server.py": SERVER.replace('"PORT"])', '"PORT"]')},
        says=("SyntaxError",),
    ),
    Mistake(
        title="The command does not exist",
        files={"Procfile": "web: gunicorn app:app\n"},
        says=("gunicorn",),
    ),
    Mistake(
        title="A wsgi app is not where the Procfile says",
        files={"Procfile": "wsgi: shop:application\n", "shop.py": "app = None\n"},
        says=("shop",),
    ),
    Mistake(
        title="The program listens on a port of its own choice",
        files={
            "server.py": SERVER.replace('int(os.environ["PORT"])', "{port}"),
            "ENV": ENV + "PIKU_DEPLOY_TIMEOUT=8\n",
        },
        says=("{port}",),
    ),
    Mistake(
        title="The program listens on ::1 only",
        files={
            "server.py": SERVER.replace('os.environ["BIND_ADDRESS"]', '"::1"').replace(
                "address = ",
                "import socket\nHTTPServer.address_family = socket.AF_INET6\naddress = ",
            ),
            "ENV": ENV + "PIKU_DEPLOY_TIMEOUT=8\n",
        },
        says=("::1",),
    ),
    Mistake(
        title="The health check gets an error",
        files={
            "ENV": ENV + "PIKU_HEALTHCHECK_PATH=/healthz\nPIKU_DEPLOY_TIMEOUT=8\n",
            "server.py": "{failing}",
        },
        says=("/healthz", "500"),
    ),
    Mistake(
        title="A worker ends at once",
        files={
            "Procfile": PROCFILE + "worker: sh work.sh\n",
            "work.sh": "echo no queue to read from\nexit 1\n",
        },
        says=("worker", "no queue to read from"),
    ),
    Mistake(
        title="A branch that does not deploy",
        command="git push piku main:try-out",
        code=0,
        says=("try-out", "not deployed"),
    ),
    Mistake(
        title="The app wrote files beside its code",
        files={"index.html": "Welcome again\n"},
        before=("ssh piku@server run shop touch orders.db",),
        after=("ssh piku@server run shop rm orders.db",),
        says=("orders.db",),
    ),
    Mistake(
        title="The host name is gone",
        gone=("ENV",),
        says=("NGINX_SERVER_NAME",),
    ),
)

WITH_COMMANDS = (
    Mistake(
        title="An app that does not exist",
        command="ssh piku@server logs shpo",
        says=("'shpo'", "shop"),
    ),
    Mistake(
        title="A command is misspelled",
        command="ssh piku@server confg shop",
        code=2,
        says=("confg", "config"),
    ),
    Mistake(
        title="A command of another system",
        command="ssh piku@server ps:restart shop",
        code=2,
        says=("restart",),
    ),
    Mistake(
        title="A setting without a value",
        command="piku config:set GREETING",
        code=2,
        says=("KEY=VALUE",),
    ),
    Mistake(
        title="A setting that is refused",
        command="piku config:set PORT=99999",
        says=("PORT=99999",),
    ),
    Mistake(
        title="A process type that the Procfile does not have",
        command="piku ps:scale worker=2",
        says=("'worker'", "web"),
    ),
    Mistake(
        title="Rolling back to a release that never existed",
        command="piku rollback v99",
        says=("v99",),
    ),
    Mistake(
        title="A program that does not exist",
        command="piku run pyton manage.py migrate",
        code=127,
        says=("pyton",),
    ),
    Mistake(
        title="A file that is not a key",
        command="echo ssh-rsa AAAA | ssh piku@server setup:ssh -",
        says=("key",),
    ),
    Mistake(
        title="No app is named",
        command="cd .. && piku logs",
        code=2,
        says=("piku",),
    ),
)

SECTIONS = {"When you push": WITH_PUSH, "When you type a command": WITH_COMMANDS}
