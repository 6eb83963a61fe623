"""An app, `wsgi` or `web`, that answers with what it was told of the request; as `web` it echoes what
follows an upgrade."""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit


def answer(seen, path, query):
    """Status, headers and body."""
    if path == "/moved":
        return "302 Found", [("Location", query["to"])], b""
    if path == "/cookie":
        return "200 OK", [("Set-Cookie", f"a=b; Path={query['path']}")], b""
    return "200 OK", [("Content-Type", "application/json")], json.dumps(seen).encode()


def app(environ, start_response):
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    seen = {
        "name": os.environ["APP"],
        "script": environ.get("SCRIPT_NAME", ""),
        "path": environ["PATH_INFO"],
        "scheme": environ["wsgi.url_scheme"],
        "port": environ["SERVER_PORT"],
        "client": environ["REMOTE_ADDR"],
        "size": size,
        "headers": {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        },
    }
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    status, headers, body = answer(seen, environ["PATH_INFO"], query)
    start_response(status, headers)
    return [body]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers["Upgrade"]:
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\n")
            self.wfile.write(b"Upgrade: echo\r\nConnection: Upgrade\r\n\r\n")
            self.wfile.write(self.rfile.readline())
            self.close_connection = True
            return
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(2):
                self.wfile.write(b"5\r\nevent\r\n")
                time.sleep(1)
            self.wfile.write(b"0\r\n\r\n")
            return
        size = len(self.rfile.read(int(self.headers["Content-Length"] or 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = {"name": os.environ["APP"], "path": self.path, "size": size, "headers": headers}
        address = urlsplit(self.path)
        status, more, body = answer(seen, unquote(address.path), dict(parse_qsl(address.query)))
        self.send_response(int(status.split()[0]))
        for name, value in (*more, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


if __name__ == "__main__":
    place = os.environ["BIND_ADDRESS"], int(os.environ["PORT"])
    ThreadingHTTPServer(place, Handler).serve_forever()
