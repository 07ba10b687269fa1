"""A server in memory: whatever the client connects to is answered here, without a socket."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx
import pytest

from subcli.cli.commands import open as open_command
from subcli.client import client as client_module
from subcli.client.doctor import access, reach
from subcli.client.transport import Disconnected
from subcli.core.inputs import Refused

SERVER = "http://127.0.0.1:9"


class Wire(httpx.AsyncBaseTransport):
    """A connection to a server that answers in memory.

    Attributes:
        answers: status and body by method and path.
    """

    answers: ClassVar[dict[str, tuple[int, bytes]]] = {}

    def __init__(self, **options: object) -> None:
        super().__init__()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        call = f"{request.method} {request.url.path.removeprefix('/api')}"
        code, body = Wire.answers.get(call, (404, b'{"detail": "Not Found"}'))
        return httpx.Response(code, stream=httpx.ByteStream(body))


def connect_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection of the client end here; WebSockets are refused, and repeats come at once."""

    async def refuse(*_: object, **__: object) -> object:
        raise Disconnected(Refused(404, "HTTP 404"))

    async def stand(*_: object, **__: object) -> dict[str, object]:
        return {}

    async def no_wait(*_: object) -> None:
        """Repeats come at once."""

    monkeypatch.setattr(httpx, "AsyncHTTPTransport", Wire)
    monkeypatch.setattr(client_module, "open_socket", refuse)
    monkeypatch.setattr(access, "open_socket", refuse)
    monkeypatch.setattr(reach, "_open", stand)
    monkeypatch.setattr("subcli.cli.patience.Patience.__call__", no_wait)
    monkeypatch.setattr(open_command, "_browse", lambda streams, url: True)


def encode(value: Any) -> bytes:
    """As JSON."""
    return json.dumps(value).encode()
