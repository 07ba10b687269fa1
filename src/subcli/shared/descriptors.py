"""Reading and writing file descriptors that somebody else may have made non-blocking.

``O_NONBLOCK`` is a property of the open file, which we share with the process that passed us the descriptor: Node.js
and ssh set it. Python's own streams then raise or lose data; here the caller waits, and the flag stays as it is.
"""

from __future__ import annotations

import os
import select


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; wait when the descriptor takes no more.

    Raises:
        OSError: It cannot be written.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            _wait(descriptor, select.POLLOUT)


def read_into(descriptor: int, buffer: bytearray | memoryview) -> int:
    """Read the available data, and wait for some if there is none; 0 at the end of the input.

    Raises:
        OSError: It cannot be read.
    """
    while True:
        try:
            return os.readv(descriptor, [buffer])
        except BlockingIOError:
            _wait(descriptor, select.POLLIN)


def _wait(descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll()
