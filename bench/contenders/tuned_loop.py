"""The best short loop with websockets: bytes, no compression, a long queue, msgspec, one write a batch."""

import asyncio
import os
import sys

import msgspec
from websockets.asyncio.client import connect


class Event(msgspec.Struct):
    type: str


async def main() -> None:
    decode = msgspec.json.Decoder(Event).decode
    lines: list[bytes] = []
    async with connect(sys.argv[1], compression=None, max_queue=1024) as socket:
        arrived = socket.recv_messages.frames.queue
        while True:
            frame = await socket.recv(decode=False)
            lines.append(frame)
            over = decode(frame).type == "complete"
            if over or not arrived:
                os.write(1, b"\n".join(lines) + b"\n")
                lines.clear()
            if over:
                break


asyncio.run(main())
