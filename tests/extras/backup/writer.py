"""A `web` process that never stops writing: two rows to a database, in one transaction, again and again."""

import os
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATABASE = Path(os.environ["DATA_ROOT"], "app.sqlite3")


def opened() -> sqlite3.Connection:
    database = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER, filler TEXT)")
    return database


def write() -> None:
    database = opened()
    while True:
        database.execute("BEGIN IMMEDIATE")
        number = database.execute("SELECT coalesce(max(number), 0) + 1 FROM rows").fetchone()[0]
        for _ in range(2):
            database.execute("INSERT INTO rows VALUES (?, ?)", (number, str(number) * 50))
        database.execute("COMMIT")
        time.sleep(0.01)  # others are to get their turn


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = str(opened().execute("SELECT count(*) FROM rows").fetchone()[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


opened()
if not os.environ.get("QUIET"):
    threading.Thread(target=write, daemon=True).start()
address = os.environ["BIND_ADDRESS"], int(os.environ["PORT"])
ThreadingHTTPServer(address, Handler).serve_forever()
