"""A `web` process that closes a connection it has kept as soon as a second request comes on it."""

import os
import socket
import threading


def serve(client: socket.socket) -> None:
    with client:
        if client.recv(1 << 16):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            client.recv(1 << 16)


with socket.create_server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"]))) as listener:
    while True:
        threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
