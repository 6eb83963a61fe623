"""The same for uvicorn: an ASGI application of its own."""

import asyncio
import hashlib
import json
from urllib.parse import parse_qs


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    path = scope["path"]
    if path == "/early":
        await answer(send, 401, b"who are you?")
    elif path == "/cookies":
        cookie = (b"set-cookie", b"all=" + b"c" * int(query["bytes"]))
        await answer(send, 200, b"baked", cookie)
    elif path == "/events":
        await begin(send, 200, (b"content-type", b"text/event-stream"))
        for number in range(int(query["n"])):
            if number:
                await asyncio.sleep(float(query["gap"]))
            await part(send, f"data: {number}\n\n".encode())
        await part(send, b"", more=False)
    elif path == "/cut":
        await begin(send, 200, (b"content-type", b"text/plain"))
        await part(send, b"begun")
        raise RuntimeError("no more")
    else:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        raw = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        found = {
            "method": scope["method"],
            "target": raw.decode(),
            "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
            "client": scope["client"][0],
            "scheme": scope["scheme"],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        await answer(send, 200, json.dumps(found).encode(), (b"content-type", b"application/json"))


async def begin(send, status, *headers):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def part(send, body, *, more=True):
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send, status, body, *headers):
    await begin(send, status, (b"content-length", str(len(body)).encode()), *headers)
    await part(send, body, more=False)
