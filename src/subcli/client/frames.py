"""A WebSocket connection that returns everything that has arrived at once, and extracts complete text frames itself.

websockets parses a frame in a dozen calls of generators, which costs more than everything that a watch does with it.
Most frames from servers are unfragmented text frames without extensions; two bytes suffice to find their end (RFC 6455
section 5.2). Every other frame goes to websockets, whole: control frames, fragments, binary and invalid ones. So
websockets remains the only implementation of the protocol's rules.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.messages import MAX_FRAGMENTS
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import State

from subcli.shared.protocol import MAX_FRAME_BYTES

CLOSE_TIMEOUT_S: Final = 0.2
"""How long the other side may take to close the TCP connection after a close frame."""

_PAUSE_FRAMES: Final = 64
"""With this many frames waiting, no more are read."""

_WHOLE_TEXT: Final = 0x81
"""The first byte of a text frame in one piece: FIN, no extension, opcode 1."""

Text: TypeAlias = str | bytes
"""A message: text, or the bytes of a binary one."""


class FrameConnection(ClientConnection):
    """Receives messages in batches, notes when the last byte arrived, and bounds the closing handshake.

    Any byte is a sign of life. After a close frame nothing more arrives, but a reader learns of it only when the other
    side closes the TCP connection as well, which a broken one may never do.
    """

    last_byte_at: float = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arrived: deque[Text] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._is_paused = False
        self._fragments: list[Frame] = []
        self._head = b""
        self._rest: list[bytes] | None = None
        """The beginning of the next frame, as it came. None: bytes go to websockets as they come."""
        self._missing = 0
        """How many more bytes it takes to know more about that frame."""
        self._ending: asyncio.TimerHandle | None = None

    async def receive(self) -> Sequence[Text]:
        """All messages that have arrived, at least one.

        Raises:
            ConnectionClosed: there are no more.
        """
        while not self._arrived:
            if self.connection_lost_waiter.done():
                raise self.close_exc
            self._reader = self.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        messages, self._arrived = self._arrived, deque()
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        return messages

    # -- what asyncio calls -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.last_byte_at = self.loop.time()
        if self.response is None:
            self._shake_hands(data)
        elif self._rest is None:
            super().data_received(data)
        elif not self._rest:
            self._cut(data)
        else:
            self._rest.append(data)
            self._missing -= len(data)
            if self._missing <= 0:
                # Not earlier: to join what has come at each of a thousand segments takes time square in their number.
                self._cut(b"".join(self._rest))
        if len(self._arrived) > _PAUSE_FRAMES and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()
        if self.protocol.state is State.CLOSING and self._ending is None:
            self._ending = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wake()

    # -- what websockets calls --------------------------------------------------------------------

    def process_event(self, event: Any) -> None:
        if self.response is None or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        self._fragments.append(event)
        if event.fin:
            kind, data = self._fragments[0].opcode, b"".join(frame.data for frame in self._fragments)
            self._fragments = []
            self._take(data, is_text=kind is Opcode.TEXT)
        elif len(self._fragments) > MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")

    # -- cutting ----------------------------------------------------------------------------------

    def _shake_hands(self, data: bytes) -> None:
        """Give websockets the response's head alone, to know where the first frame begins."""
        seen = len(self._head)
        head = self._head + data
        self._head = head[-3:]
        end = head.find(b"\r\n\r\n") + 4 - seen
        if end < 4 - seen:
            end = len(data)
        super().data_received(data[:end])
        if self.protocol.state is State.OPEN:
            self._cut(data[end:])
        elif end < len(data):
            super().data_received(data[end:])

    def _cut(self, data: bytes) -> None:
        """Take the whole frames from ``data``, which begins with one, and keep what is left."""
        at, size = 0, len(data)
        while (end := at + 2) <= size:
            length, start = data[at + 1], end
            if length > 125:
                is_masked = length > 127
                start += 2 if length == 126 else 8
                if start > size and not is_masked:
                    end = start
                    break
                length = int.from_bytes(data[at + 2 : start])
                if is_masked or length > MAX_FRAME_BYTES:
                    # No server may do that: such a frame need not be whole to be refused.
                    self._leave_to_websockets(data[at:])
                    return
            end = start + length
            if end > size:
                break
            if data[at] == _WHOLE_TEXT and not self._fragments:
                is_open = self._take(data[start:end], is_text=True)
            else:
                super().data_received(data[at:end])
                is_open = self.protocol.state is State.OPEN
            at = end
            if not is_open:
                self._leave_to_websockets(data[at:])
                return
        self._rest = [data[at:]] if at < size else []
        self._missing = end - size

    def _take(self, data: bytes, *, is_text: bool) -> bool:
        """Add a message; return whether the connection is still good."""
        try:
            self._arrived.append(data.decode() if is_text else data)
        except UnicodeDecodeError as error:
            self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            return False
        return True

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.protocol.fail(code, reason)
        self.send_data()

    def _leave_to_websockets(self, data: bytes) -> None:
        """It says what is wrong, and discards what comes after a close frame."""
        self._rest = None
        super().data_received(data)

    def _wake(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done() and (self._arrived or self.connection_lost_waiter.done()):
            reader.set_result(None)
