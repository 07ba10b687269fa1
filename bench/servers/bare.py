"""The baseline: the server of websockets with its `broadcast`. No log, no seq, no limit on slow readers."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.servers import say_ready, text, work


async def main() -> None:
    """Serve until killed."""
    todo = work()
    watching: dict[int, set[ServerConnection]] = defaultdict(set)

    async def watch(connection: ServerConnection) -> None:
        assert connection.request is not None
        watching[int(connection.request.path.rpartition("/")[2])].add(connection)
        await connection.wait_closed()

    async def produce(submission_id: int) -> None:
        async for number in todo.ticks():
            broadcast(watching[submission_id], text(submission_id, number))

    async with serve(watch, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=2048) as server:
        say_ready(server.sockets[0].getsockname()[1])
        if todo.go:
            await asyncio.gather(*(produce(each) for each in range(1, todo.submissions + 1)))
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
