"""A server that does to its clients what a script says, byte by byte, over real sockets on loopback.

The WebSocket half runs one *script* for each connect: an async function that is given the :class:`Wire` and
does what it likes with it: shake hands, refuse, send half a frame, reset, freeze. The REST half answers from a
:class:`Rest`, which a test fills with a log, a snapshot, or answers that stand before all others.

When a request came is noted, since section 7 is as much about *when* as about *what*.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Request:
    """One HTTP request, the handshake of a WebSocket included."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str | None:
        """One parameter of the query."""
        return parse_qs(urlsplit(self.target).query).get(name, [None])[0]

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. ``cut``: none, but the end of the connection; ``hang``: none, no end; ``bare``: other bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False
    bare: bytes = b""

    def encode(self) -> bytes:
        """As it goes over the wire."""
        if self.bare:
            return self.bare
        raw = isinstance(self.body, bytes)
        body = self.body if raw else b"" if self.body is None else json.dumps(self.body).encode()
        kind = "text/html" if raw else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


NOT_THERE = Answer(404, {"detail": "Not Found"})
FULL = frozenset({"resume", "idempotency"})
_LAST_ROUNDS = 5
"""How many rounds of the loop it may take until what was just accepted has come to the server."""


@dataclass
class Rest:
    """What REST answers.

    Attributes:
        features: of ``/info``; ``None``: there is no ``/info``.
        log: the events of ``…/events``, with ``seq``.
        snapshot, tests: of ``/submissions/1``.
        first: asked before all else; ``None`` from it leaves the answer to the rest.
        server: the one it belongs to, once that runs.
    """

    features: frozenset[str] | None = FULL
    log: list[dict[str, Any]] = field(default_factory=list)
    snapshot: dict[str, Any] | None = field(default_factory=lambda: {"submission_id": 1, "status": "testing"})
    tests: list[dict[str, Any]] = field(default_factory=list)
    first: Callable[[Request], Answer | None] = lambda request: None
    api: str = "/api"
    server: Server = field(init=False, repr=False)

    def __call__(self, request: Request) -> Answer:
        """The answer to one request."""
        first = self.first(request)
        if first is not None:
            return first
        path = request.path.removeprefix(self.api)
        if path == "/info" and self.features is not None:
            return Answer(200, {"name": "scripted", "version": "1", "features": sorted(self.features)})
        if path == "/submissions" and request.method == "POST":
            return Answer(201, {"submission_id": 1, "id": 1, "status": "pending"})
        if path == "/submissions/1":
            return Answer(200, self.snapshot)
        if path == "/submissions/1/tests":
            return Answer(200, self.tests)
        if path == "/submissions/1/events" and self.features and "resume" in self.features:
            after = int(request.query("after_seq") or 0)
            return Answer(200, {"events": [event for event in self.log if event["seq"] > after]})
        return NOT_THERE


class Gone(Exception):
    """The client is gone."""


class Wire:
    """One connection of a client that asked for a WebSocket."""

    def __init__(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.reader = reader
        self.writer = writer

    @property
    def after_seq(self) -> int:
        """What the client asked to go on after."""
        return int(self.request.query("after_seq") or 0)

    async def raw(self, data: bytes) -> None:
        """These bytes and no others.

        Raises:
            Gone: nobody is there to take them.
        """
        if self.writer.is_closing():
            raise Gone
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            raise Gone from None

    async def accept(self) -> None:
        """Shake hands (RFC 6455 section 4.2.2)."""
        key = self.request.headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        await self.raw(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )

    async def refuse(self, status: int, **headers: str) -> None:
        """Answer the handshake with another status than 101."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.raw(Answer(status, {"detail": f"refused with {status}"}, named).encode())

    async def frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """One frame."""
        await self.raw(frame(opcode, payload, fin=fin))

    async def text(self, *messages: dict[str, Any] | str) -> None:
        """Text frames: objects as JSON, texts as they are."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            await self.frame(TEXT, text.encode("utf-8", "surrogatepass"))

    async def close(self, code: int | None, reason: str = "") -> None:
        """A close frame, then the end, once the client has answered it or 0.5 s are over."""
        await self.frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())
        with contextlib.suppress(TimeoutError, Gone):
            async with asyncio.timeout(0.5):
                while (await self.read())[0] != CLOSE:
                    pass

    async def read(self) -> tuple[int, bytes]:
        """The next frame of the client, unmasked.

        Raises:
            Gone: there is none.
        """
        try:
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8))
            mask = await self.reader.readexactly(4)
            payload = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    async def answered(self) -> None:
        """Wait until the client has read everything so far: it answers a ``ping`` (contract, section 6)."""
        await self.text("ping")
        while await self.read() != (TEXT, b"pong"):
            pass

    def reset(self) -> None:
        """End with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def stay(self) -> float:
        """Say nothing until the client goes; returns monotonic seconds of that moment."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return time.monotonic()


Script = Callable[[Wire], Awaitable[None]]


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as a server sends it: unmasked (RFC 6455 section 5.2)."""
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + bytes([126]) + size.to_bytes(2) + payload
    return head + bytes([127]) + size.to_bytes(8) + payload


@dataclass
class Server:
    """A running scripted server.

    Attributes:
        requests: everything that was asked, handshakes included.
        connects: the handshakes alone.
        left: monotonic seconds at which each WebSocket connection ended.
        connected: set by the first connect.
    """

    rest: Callable[[Request], Answer]
    scripts: Sequence[Script]
    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    connects: list[Request] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """For ``--server``."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def gaps(self) -> list[float]:
        """Seconds between one end of a connection and the next connect."""
        return [after.at - before for before, after in zip(self.left, self.connects[1:], strict=False)]

    def asked(self, method: str, path: str) -> list[Request]:
        """The REST requests to one path."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        try:
            request = await read_request(reader)
            if request is None:
                return
            self.requests.append(request)
            if {"sec-websocket-key", "upgrade"} <= request.headers.keys():
                self.connects.append(request)
                script = self.scripts[min(len(self.connects), len(self.scripts)) - 1]
                self.connected.set()
                try:
                    with contextlib.suppress(Gone, ConnectionError):
                        await script(Wire(request, reader, writer))
                finally:
                    self.left.append(time.monotonic())
                return
            answer = self.rest(request)
            if answer.hang:
                await reader.read()
            elif not answer.cut:
                writer.write(answer.encode())
                await writer.drain()
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            # The test is over; a close would wait for a client that does not read.
            writer.transport.abort()
            raise
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """One HTTP request; ``None`` where the client went without one."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, time.monotonic())


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script,
    rest: Callable[[Request], Answer] | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Server]:
    """A server for a ``with`` block. The n-th connect gets the n-th script, later ones the last."""
    server = Server(rest or Rest(), scripts or (gone,), scheme="https" if tls else "http")
    if isinstance(rest, Rest):
        rest.server = server
    peers: set[asyncio.Task[Any]] = set()
    writers: list[asyncio.StreamWriter] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        peers.add(task)
        writers.append(writer)
        task.add_done_callback(peers.discard)

    listening = await asyncio.start_server(connected, host, 0, ssl=tls, limit=1 << 22)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        # What was accepted a moment ago gets its task only now, and transports close one round of the loop later.
        for _ in range(_LAST_ROUNDS):
            for task in peers:
                task.cancel()
            # A task that has not begun yet would not, and one that has ended may have left something unread.
            for writer in writers:
                # Of a TLS transport that was closed twice, asyncio of Python 3.11 has forgotten what to abort.
                with contextlib.suppress(AttributeError):
                    writer.transport.abort()
            await asyncio.gather(*peers, return_exceptions=True)
            await asyncio.sleep(0)


# -- what a server says -----------------------------------------------------------------------------


def event(seq: int | None, kind: str, **fields: Any) -> dict[str, Any]:
    """A server message about submission 1."""
    numbered = {} if seq is None else {"seq": seq}
    return {"type": kind, "submission_id": 1, "timestamp": "2024-01-15T10:40:00Z", **numbered, **fields}


def short_log(final_status: str = "passed") -> list[dict[str, Any]]:
    """A whole submission of six events."""
    last = "passed" if final_status == "passed" else "failed"
    return [
        event(1, "status_update", status="building"),
        event(2, "status_update", status="testing", total_tests=2),
        event(3, "test_result", test_name="One", test_id="1", status="passed", duration_ms=5),
        event(4, "test_result", test_name="Two", test_id="2", status=last, duration_ms=7),
        event(5, "status_update", status="completed"),
        event(6, "complete", final_status=final_status, summary={"total_tests": 2, "passed": 2, "failed": 0}),
    ]


LOG = short_log()


# -- scripts ----------------------------------------------------------------------------------------


async def gone(wire: Wire) -> None:
    """The end, without a word."""


async def finish(wire: Wire) -> None:
    """Everything after what the client has seen, then 1000: what a good server does."""
    await wire.accept()
    await wire.text(*(event for event in LOG if event["seq"] > wire.after_seq))
    await wire.close(1000)


def some(upto: int, then: Script | None = None) -> Script:
    """The events up to this ``seq``, then another script on the open socket."""

    async def script(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*(event for event in LOG if wire.after_seq < event["seq"] <= upto))
        if then is not None:
            await then(wire)

    return script


def closing(code: int | None, reason: str = "", *, upto: int = 0) -> Script:
    """Accept, send events up to ``upto``, close."""

    async def close(wire: Wire) -> None:
        await wire.close(code, reason)

    return some(upto, close)


def refusing(status: int, **headers: str) -> Script:
    """Refuse the handshake."""

    async def refuse(wire: Wire) -> None:
        await wire.refuse(status, **headers)

    return refuse


def seen(upto: int, gate: asyncio.Event, then: Script | None = None) -> Script:
    """The events up to this ``seq``; once the client has read them the gate opens, and another script goes on.

    Without another script nothing more is said until the client goes.
    """

    async def open_gate(wire: Wire) -> None:
        await wire.answered()
        gate.set()
        await (then or staying)(wire)

    return some(upto, open_gate)


async def staying(wire: Wire) -> None:
    """Say nothing until the client goes."""
    await wire.stay()
