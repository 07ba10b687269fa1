"""The floor: a blocking socket, no masking, no checks, nothing decoded."""

import os
import socket
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
with socket.create_connection((url.hostname, url.port)) as server:
    server.sendall(
        f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        data += server.recv(65536)
    data = data.partition(b"\r\n\r\n")[2]
    over = False
    while not over:
        lines = []
        at = 0
        while len(data) - at >= 4:
            size, head = data[at + 1], 2
            if size == 126:
                size, head = data[at + 2] << 8 | data[at + 3], 4
            if len(data) - at < head + size:
                break
            if data[at] == 0x88:
                over = True
                break
            lines.append(data[at + head : at + head + size])
            at += head + size
        if lines:
            os.write(1, b"\n".join(lines) + b"\n")
        data = data[at:]
        if not over:
            more = server.recv(262144)
            over = not more
            data += more
