"""What the tests tell the preloaded process, and how: a length, the request, and the three streams as descriptors."""

from __future__ import annotations

import array
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True)
class Request:
    """A command to run.

    Attributes:
        words: of its command line, that of the interpreter included.
        directory: where it runs.
        new_session: whether it begins a session.
        group: of processes; -1 for that of the caller, 0 for one of its own.
        terminal: whether its standard streams become the controlling terminal of a new session.
    """

    words: Sequence[str]
    environment: dict[bytes, bytes]
    directory: str
    new_session: bool
    group: int
    terminal: bool


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send a request and descriptors."""
    socket.send_fds(connection, [_LENGTH.pack(len(data))], list(descriptors))
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Receive a request and its descriptors; nothing if there is no more."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, array.array("i").itemsize)
    if not head:
        return b"", []
    (left,) = _LENGTH.unpack(head)
    data = bytearray()
    while len(data) < left:
        data += connection.recv(left - len(data))
    return bytes(data), descriptors
