"""Frames cut out of a stream by us are what websockets makes of the same bytes."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from subcli.client.frames import FrameConnection
from subcli.shared.protocol import MAX_FRAME_BYTES
from tests.fuzz.test_core import fuzz

URL = parse_uri("ws://judge.example/")


class Wire(asyncio.Transport):
    """Takes what is written, and notes whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


def one(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """An unmasked frame."""
    return Frame(opcode, data, fin=fin).serialize(mask=False)


payloads = st.binary(max_size=200) | st.text(max_size=150).map(str.encode) | st.just(b"x" * 70_000)
texts = st.text(max_size=150).map(str.encode)
pieces = st.one_of(
    st.builds(one, st.just(Opcode.TEXT), texts),
    st.builds(one, st.sampled_from([Opcode.TEXT, Opcode.BINARY]), payloads),
    st.builds(one, st.sampled_from([Opcode.TEXT, Opcode.CONT]), texts, fin=st.booleans()),
    st.builds(one, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)),
    st.sampled_from(
        [
            one(Opcode.CLOSE, struct.pack("!H", 1000) + b"done"),
            b"\x81\x85abcdhello",  # masked
            b"\x81\x80abcd",
            b"\x8a\x81abcdx",
            b"\x81\xfe\x00\x01abcdx",
            b"\x83\x00",  # a reserved opcode
            b"\xc1\x02hi",  # a reserved bit
            b"\x81\x7f" + struct.pack("!Q", MAX_FRAME_BYTES + 1),
            b"\x81\x7f" + b"\xff" * 8,
        ]
    ),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


def response(protocol: ClientProtocol) -> bytes:
    """What a server answers to the handshake."""
    request = protocol.connect()
    protocol.send_request(request)
    server = ServerProtocol()
    server.receive_data(b"".join(protocol.data_to_send()))
    (asked,) = server.events_received()
    assert isinstance(asked, Request)
    server.send_response(server.accept(asked))
    return b"".join(server.data_to_send())


def code_of(closed: ConnectionClosed) -> int:
    """The code that says who ended the connection, and why."""
    close = closed.sent if closed.sent is not None and not closed.rcvd_then_sent else closed.rcvd
    return 1006 if close is None else close.code


def expected(stream: bytes) -> tuple[list[str | bytes], int]:
    """The messages and the close code according to websockets alone."""
    protocol = ClientProtocol(URL, max_size=MAX_FRAME_BYTES)
    protocol.receive_data(response(protocol) + stream)
    protocol.receive_eof()
    messages: list[str | bytes] = []
    fragments: list[Frame] = []
    for frame in protocol.events_received()[1:]:
        assert isinstance(frame, Frame)
        if frame.opcode not in DATA_OPCODES:
            continue
        fragments.append(frame)
        if frame.fin:
            data = b"".join(each.data for each in fragments)
            try:
                messages.append(data.decode() if fragments[0].opcode is Opcode.TEXT else data)
            except UnicodeDecodeError:
                return messages, 1007
            fragments = []
    return messages, code_of(protocol.close_exc)


async def received(stream: bytes, cuts: Sequence[int]) -> tuple[list[str | bytes], int]:
    """The messages and the close code of our connection, which gets the same bytes in pieces."""
    protocol = ClientProtocol(URL, max_size=MAX_FRAME_BYTES)
    connection = FrameConnection(protocol)
    wire = Wire()
    connection.connection_made(wire)
    whole = response(protocol) + stream
    places = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    for start, end in itertools.pairwise(places):
        connection.data_received(whole[start:end])
    connection.eof_received()
    connection.connection_lost(None)
    messages: list[str | bytes] = []
    try:
        while True:
            messages += await connection.receive()
            assert not wire.is_paused
    except ConnectionClosed as closed:
        return messages, code_of(closed)


@fuzz
@given(streams, st.lists(st.integers(0, 400_000), max_size=20))
def test_cut_frames_are_those_of_websockets(stream: bytes, cuts: list[int]) -> None:
    """Whatever comes, and wherever the network cuts it."""
    assert asyncio.run(received(stream, cuts)) == expected(stream)


@pytest.mark.parametrize("frame", [b"\x81\x80", b"\x89\x81", b"\x81\xfe", b"\x02\xff"])
def test_masked_frame_ends_the_connection_at_once(frame: bytes) -> None:
    """A client that sees one must close with 1002 (RFC 6455 section 5.1), whatever would follow."""

    async def trial() -> None:
        protocol = ClientProtocol(URL, max_size=MAX_FRAME_BYTES)
        connection = FrameConnection(protocol)
        connection.connection_made(Wire())
        connection.data_received(response(protocol) + one(Opcode.TEXT, b"{}") + frame)
        assert protocol.close_sent is not None
        assert protocol.close_sent.code == CloseCode.PROTOCOL_ERROR
        assert list(await connection.receive()) == ["{}"]

    asyncio.run(trial())


@pytest.mark.thorough
def test_large_frame_in_tiny_segments() -> None:
    """What came of it is joined once, not copied again with each byte: 500 GB."""

    async def trial() -> None:
        protocol = ClientProtocol(URL, max_size=MAX_FRAME_BYTES)
        connection = FrameConnection(protocol)
        connection.connection_made(Wire())
        connection.data_received(response(protocol))
        frame = one(Opcode.TEXT, b"x" * MAX_FRAME_BYTES)
        for byte in range(len(frame)):
            connection.data_received(frame[byte : byte + 1])
        assert list(await connection.receive()) == ["x" * MAX_FRAME_BYTES]

    asyncio.run(trial())


def test_reading_pauses_while_many_messages_wait() -> None:
    """A watch that cannot keep up holds no more than what came at once."""

    async def trial() -> None:
        protocol = ClientProtocol(URL, max_size=MAX_FRAME_BYTES)
        connection = FrameConnection(protocol)
        wire = Wire()
        connection.connection_made(wire)
        connection.data_received(response(protocol) + one(Opcode.TEXT, b"{}") * 1000)
        assert wire.is_paused
        assert len(await connection.receive()) == 1000
        assert not wire.is_paused

    asyncio.run(trial())
