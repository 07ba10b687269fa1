"""The same worlds byte by byte: the real transport over a wire in memory, cut anywhere.

Between :func:`subcli.client.transport.open_socket` and the model server stand the bytes of RFC 6455, made by the
protocol half of ``websockets``. They arrive in pieces of any size, and the wire may break or freeze after any
of them, in the middle of the handshake, of a frame or of a close.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from subcli.client.transport import Socket, open_socket
from subcli.shared.protocol import MAX_FRAME_BYTES, PING
from tests.simulation.server import NEVER, ModelSocket, Server, now
from tests.simulation.virtual import VirtualLoop
from tests.simulation.world import SUBMISSION

UNSENDABLE = (1004, 1005, 1006, 1014, 1015)
"""Close codes that cannot stand in a close frame, or that the library refuses to send."""

ODD_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: wss://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
)


class Wire(asyncio.Transport):
    """The client's end of a connection, and the path of the bytes to it."""

    def __init__(self, server: WireServer, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._server = server
        self._rng = server.rng
        self._protocol = protocol
        self._far = FarEnd(server, self)
        self._arriving: list[Callable[[], None]] = []
        self._left = self._draw_length()
        self.closed = False

    def _draw_length(self) -> float:
        """Draw after how many bytes this wire breaks."""
        if not self._server.faulty(self._server.world.p_socket):
            return NEVER
        return self._rng.choice((self._rng.randrange(0, 250), self._rng.randrange(100, 3000)))

    # -- what the client calls --------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self._after_latency(self._far.receive, bytes(data))

    def write_eof(self) -> None:
        return

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def get_write_buffer_size(self) -> int:
        return 0

    # -- what the server sends --------------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """Deliver bytes to the client in pieces, until the wire breaks."""
        if self._left <= 0:
            return
        data, self._left = data[: int(min(self._left, len(data)))], self._left - len(data)
        while data:
            size = len(data) if self._rng.random() < 0.7 else self._rng.randrange(1, 20)
            self._arrive(self._receive, data[:size])
            data = data[size:]
        if self._left <= 0:
            self._break()

    def hang_up(self) -> None:
        """Close the server's end."""
        if self._left > 0:
            self._arrive(self._end, None)

    def _break(self) -> None:
        way = self._rng.choice(("reset", "end", "freeze"))
        if way == "freeze":
            self._far.freeze()
        else:
            self._far.note(1006)
            self._arrive(self._end, ConnectionResetError("reset") if way == "reset" else None)

    def cut(self) -> None:
        """Disconnect both ends without a close."""
        self._left = 0
        self._arrive(self._end, ConnectionResetError("reset"))

    def _arrive(self, what: Callable[..., None], *args: Any) -> None:
        self._arriving.append(lambda: what(*args))
        self._after_latency(lambda: self._arriving.pop(0)())

    def _receive(self, data: bytes) -> None:
        if not self.closed:
            self._protocol.data_received(data)

    def _end(self, error: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            self._far.lost()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def _after_latency(self, what: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_later(self._server.world.latency_s, what, *args)


class FarEnd:
    """The server's end: the handshake, then the messages of a model socket as frames."""

    def __init__(self, server: WireServer, wire: Wire) -> None:
        self._server = server
        self._wire = wire
        self._rfc = ServerProtocol(max_size=None)
        self._socket: ModelSocket | None = None
        self._next: tuple[float, Any] | None = None
        self._over = False

    def receive(self, data: bytes) -> None:
        if self._over:
            return
        self._rfc.receive_data(data)
        for event in self._rfc.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame) and self._socket is not None:
                self._socket.said_at = now()
                if event.opcode is Opcode.TEXT and bytes(event.data).decode() == PING and self._hears():
                    self._rfc.send_text(b"pong")
        if self._hears():
            self._flush()

    def _hears(self) -> bool:
        return self._socket is None or (not self._socket.takes_nothing and now() < self._socket.frozen_at)

    def _shake_hands(self, request: Request) -> None:
        server = self._server
        if server.faulty(server.world.p_dial / 2):
            self._over = True
            self._wire.deliver(server.rng.choice(ODD_ANSWERS))
            self._wire.hang_up()
            return
        url = urlsplit(request.path)
        assert url.path == f"/ws/submissions/{SUBMISSION}"
        query = parse_qs(url.query)
        self._rfc.send_response(self._rfc.accept(request))
        self._flush()
        server.witness.answered_since_open = False
        output_after = int(query["output_after"][0]) if query.get("events") == ["output"] else None
        after_seq = int(query.get("after_seq", ["0"])[0])
        self._socket = ModelSocket(server, after_seq, query.get("epoch", [None])[0], output_after)
        server.witness.sockets.append(self._socket)
        asyncio.get_running_loop().call_soon(self._speak)

    def _speak(self) -> None:
        """Send what is due, and wait for what is not."""
        socket, loop = self._socket, asyncio.get_running_loop()
        assert socket is not None
        if self._over or socket.gone or self._rfc.state is not State.OPEN:
            return
        if self._next is None:
            self._next = next(socket.script)
        due, what = self._next
        cut_at, code = socket.cut()
        if min(due, cut_at) > now():
            loop.call_later(min(due - now(), cut_at - now(), 60.0), self._speak)
            return
        if cut_at <= due:
            self._close(code)
            return
        self._next = None
        if isinstance(what, int):
            self._close(what)
            return
        if isinstance(what, dict):
            self._server.witness.delivered.add(what["uid"])
            self._rfc.send_text(json.dumps(what).encode())
        elif isinstance(what, bytes):
            self._rfc.send_binary(what)
        else:
            self._rfc.send_text(what.encode())
        self._flush()
        loop.call_soon(self._speak)

    def _close(self, code: int) -> None:
        socket = self._socket
        assert socket is not None
        told = socket.account(code)
        self._over = True
        if code == 1009:
            # The head of a frame beyond what a client takes (RFC 6455 section 5.2).
            self._wire.deliver(bytes((0x81, 127)) + (MAX_FRAME_BYTES + 1).to_bytes(8) + b"x" * 100)
        elif code in UNSENDABLE:
            self._wire.cut()
        else:
            self._rfc.send_close(code, "" if told is None else f"retry_after={told:.0f}"[:100])
            self._flush()
            self._wire.hang_up()

    def _flush(self) -> None:
        for data in self._rfc.data_to_send():
            if data:
                self._wire.deliver(data)

    def freeze(self) -> None:
        if self._socket is not None:
            self._socket.frozen_at = now()

    def note(self, code: int) -> None:
        if self._socket is not None and not self._socket.gone:
            self._socket.account(code)

    def lost(self) -> None:
        self._over = True
        if self._socket is not None:
            self._socket.abort()


class WireServer(Server):
    """A server reached over wires."""

    async def dial(self, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None) -> Socket:
        loop = asyncio.get_running_loop()
        cast(VirtualLoop, loop).connector = self.connect
        self.witness.dials.append(now())
        query = f"?after_seq={after_seq}" + (f"&epoch={epoch}" if epoch else "")
        query += "" if output_after is None else f"&events=output&output_after={output_after}"
        return await open_socket(f"ws://127.0.0.1:1/ws/submissions/{submission_id}{query}", token=self.login.token())

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> tuple[asyncio.Transport, asyncio.Protocol]:
        await asyncio.sleep(self.world.latency_s)
        if self.world.away(now()):
            raise ConnectionRefusedError("refused")
        if self.faulty(self.world.p_dial / 2):
            if self.rng.random() < 0.3:
                await asyncio.sleep(1e6)
            raise self.rng.choice((ConnectionRefusedError("refused"), ConnectionResetError("reset"), OSError("no")))
        protocol = factory()
        wire = Wire(self, protocol)
        protocol.connection_made(wire)
        return wire, protocol
