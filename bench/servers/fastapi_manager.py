"""FastAPI with the connection manager of its documentation, by submission."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.servers import listener, say_ready, text, work

todo = work()


class ConnectionManager:
    """As in FastAPI's documentation, "WebSockets": a list of connections, sent to one after the other."""

    def __init__(self) -> None:
        self.active_connections: dict[int, list[WebSocket]] = defaultdict(list)

    async def connect(self, submission_id: int, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections[submission_id].append(websocket)

    def disconnect(self, submission_id: int, websocket: WebSocket) -> None:
        self.active_connections[submission_id].remove(websocket)

    async def broadcast(self, submission_id: int, message: str) -> None:
        for connection in self.active_connections[submission_id]:
            await connection.send_text(message)


manager = ConnectionManager()


async def produce(submission_id: int) -> None:
    """The events of one submission."""
    async for number in todo.ticks():
        await manager.broadcast(submission_id, text(submission_id, number))


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    producing = [asyncio.create_task(produce(each)) for each in range(1, todo.submissions + 1)] if todo.go else []
    yield
    for task in producing:
        task.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws/submissions/{submission_id}")
async def watch(websocket: WebSocket, submission_id: int) -> None:
    """One watcher."""
    await manager.connect(submission_id, websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.disconnect(submission_id, websocket)


if __name__ == "__main__":
    made = listener()
    say_ready(made.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_level="error",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=2048,
    )
    uvicorn.Server(config).run(sockets=[made])
