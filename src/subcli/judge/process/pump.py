"""Passes on what many solutions write, in one loop in which nothing waits for one of them."""

import _socket
import fcntl
import os
import select
import sys
import termios

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 64 * 1024
_INT_BYTES = 4
_FORMAT, _PIPE, _DEVICE, _SOCKET = 0o170000, 0o010000, 0o020000, 0o140000
"""Of a file's mode. The module `stat` takes long to import."""


class Loop:
    """Calls what waits for descriptors."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._called: dict[int, Callable[[], None]] = {}

    def await_input(self, descriptor: int, called: "Callable[[], None]") -> None:
        """Call this whenever there is something to read, or nothing more will come."""
        self._poll.register(descriptor, select.POLLIN)
        self._called[descriptor] = called

    def await_room(self, descriptor: int, called: "Callable[[], None]") -> None:
        """Call this whenever something can be written, or nobody reads any more."""
        self._poll.register(descriptor, select.POLLOUT)
        self._called[descriptor] = called

    def forget(self, descriptor: int) -> None:
        """Call nothing for this descriptor."""
        if self._called.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def turn(self) -> None:
        """Wait for the next descriptors."""
        ready = [(descriptor, self._called.get(descriptor)) for descriptor, _ in self._poll.poll()]
        for descriptor, called in ready:
            # It may have been closed just now, and its number may be another's.
            if called is not None and self._called.get(descriptor) is called:
                called()


class Stream:
    """Passes on what the solution writes to one stream, and keeps a copy if there is a file for it.

    Args:
        loop: What waits.
        source: Where to read.
        target: Where to write.
        limit: How many bytes the solution may write.
        on_excess: Called when it has written more.
        on_change: Called when something has been passed on.
        copy: The name of the file for the copy, which is made once there is something; empty if there is none.
        before: Called before something is passed on.
    """

    def __init__(
        self,
        loop: Loop,
        source: int,
        target: int,
        limit: int,
        on_excess: "Callable[[], None]",
        on_change: "Callable[[], None]",
        copy: str = "",
        before: "Callable[[], None] | None" = None,
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._limit = limit
        self._copy = copy
        self._on_excess = on_excess
        self._on_change = on_change
        self._before = before
        self._total = 0
        self._unsent = b""
        self._is_done = False
        kind = os.fstat(target).st_mode & _FORMAT
        self._socket = _socket.socket(fileno=os.dup(target)) if kind == _SOCKET else None
        if kind in (_PIPE, _DEVICE):
            self._target = _not_waiting(target)
        os.set_blocking(source, False)
        loop.await_input(source, self._pass_on)

    def keep(self) -> None:
        """Keep what the solution has written so far."""
        while not self._is_done and self._total <= self._limit and self._read():
            continue
        if not self._is_done and self._total > self._limit:
            self._finish()
            self._on_excess()
        elif not self._is_done and self._unsent:
            self._await_room()

    @property
    def is_empty(self) -> bool:
        """Whether everything that the solution wrote has been passed on."""
        return self._is_done or (not self._unsent and self._waiting() == 0)

    def close(self) -> None:
        """Pass on nothing more."""
        self._finish()
        if self._source >= 0:
            os.close(self._source)
        os.close(self._target)
        if self._socket is not None:
            self._socket.close()

    def _finish(self) -> None:
        self._is_done = True
        self._loop.forget(self._source)
        self._loop.forget(self._target)

    def _read(self) -> bool:
        """Read what is there. Returns whether that was something."""
        try:
            data = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            if not self._unsent:
                self._finish()
            return False
        self._total += len(data)
        if self._copy:
            descriptor = os.open(self._copy, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, data)
            os.close(descriptor)
        self._unsent += data
        return True

    def _pass_on(self) -> None:
        if not self._unsent and not self._read():
            self._on_change()
            return
        if self._before is not None:
            self._before()
        try:
            count = self._write()
        except BlockingIOError:
            count = 0
        except OSError:
            # The test command closed the pipe: a confined solution gets SIGPIPE, as it would without a launcher.
            self._finish()
            os.close(self._source)
            self._source = -1
            self._on_change()
            return
        self._unsent = self._unsent[count:]
        if self._total > self._limit:
            # It stays open: what is being killed for writing too much is not to fail for anything else.
            self._finish()
            self._on_excess()
        elif self._unsent:
            self._await_room()
        else:
            self._loop.forget(self._target)
            self._loop.await_input(self._source, self._pass_on)
        self._on_change()

    def _await_room(self) -> None:
        self._loop.forget(self._source)
        self._loop.await_room(self._target, self._pass_on)

    def _write(self) -> int:
        if self._socket is not None:
            return int(self._socket.send(self._unsent, _socket.MSG_DONTWAIT))
        return os.write(self._target, self._unsent)

    def _waiting(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._source, termios.FIONREAD, bytes(_INT_BYTES)), sys.byteorder)


def _not_waiting(target: int) -> int:
    """The same pipe or device, opened again, so that writing to it never waits. Closes `target` if that is possible.

    A flag on `target` itself would be one of all who share it.
    """
    try:
        again = os.open(f"/proc/self/fd/{target}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        # Nobody reads the pipe any more; or this is not allowed.
        return target
    os.close(target)
    return again
