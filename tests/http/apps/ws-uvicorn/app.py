"""The same for uvicorn, which closes its sockets with 1012 by itself."""


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"no socket"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (heard := await receive())["type"] == "websocket.receive":
            if scope["path"] != "/silent":
                said = {
                    name: heard[name] for name in ("text", "bytes") if heard.get(name) is not None
                }
                await send({"type": "websocket.send", **said})
