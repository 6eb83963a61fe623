"""An app for tests, `wsgi` or `web`, that answers as the address says:
/path?status=404&header=Name:value&sleep=2&fail=1&cut=1, and counts what reached it."""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

numbers = itertools.count(1)


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    query = parse_qs(environ["QUERY_STRING"])
    sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    time.sleep(float(query.get("sleep", ["0"])[0]))
    if "fail" in query:
        os._exit(1)
    seen = {
        "number": next(numbers),
        "path": environ["PATH_INFO"],
        "method": environ["REQUEST_METHOD"],
        "received": len(sent),
        "client": environ.get("HTTP_X_REAL_IP", environ["REMOTE_ADDR"]),
        "forwarded": environ.get("HTTP_X_FORWARDED_FOR", ""),
        "user": environ.get("HTTP_AUTHORIZATION", ""),
    }
    body = json.dumps(seen).encode()
    status = HTTPStatus(int(query.get("status", ["200"])[0]))
    headers = [tuple(header.split(":", 1)) for header in query.get("header", [])]
    if "cut" in query:  # an answer without a length, that breaks off
        start_response("200 OK", [("Content-Type", "application/json")])
        return broken(body)
    start_response(
        f"{status.value} {status.phrase}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers],
    )
    return [body]


def broken(body: bytes) -> Iterable[bytes]:
    yield body
    raise RuntimeError("no more")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    address, port = os.environ["BIND_ADDRESS"], int(os.environ["PORT"])
    make_server(address, port, app, Server, Handler).serve_forever()
