"""Standard streams that never block the event loop, whatever their readers do.

A reader may be slow, may stop reading, or may have made its pipe non-blocking. One daemon thread for each *file* writes
what the program has written, in order: :class:`Writer`. Where stdout and stderr are one terminal or pipe, they share a
thread, so that their lines keep their order. The program sees ordinary text streams over an :class:`Outlet`.

While an event loop runs (:meth:`Writer.unblocked`) nothing waits for the thread: code that writes much waits for
:meth:`Writer.room`, which can be cancelled. Otherwise a flush waits until the pipe has taken everything; a signal can
interrupt it.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from subcli.shared.platform.parts import Descriptors

FULL_BYTES: Final = 256 * 1024
"""With this much unwritten, a stream has no room."""

GRACE_S: Final = 0.2
"""A command that is ending waits at most this long for a reader that takes nothing."""

HURRY_S: Final = 0.6
"""And at most this long for one that takes a little now and then."""

_CHUNK_BYTES: Final = 64 * 1024
"""The maximum for one system call, so that progress can be seen."""

_Written: TypeAlias = Callable[[], None]


class Writer:
    """Writes to one file, in a daemon thread that starts with the first write.

    Args:
        descriptors: write to it.
        waits: whether the file may have to wait for a reader. Regular files and ``/dev/null`` need no thread.
        is_needed: whether the program fails if this cannot be written. stderr is not needed: its reader may leave, or
        its disk may be full, and the work continues.

    Attributes:
        failure: why nothing can be written any more. Later output is dropped.
    """

    def __init__(self, descriptors: Descriptors, *, waits: bool = True, is_needed: bool = True) -> None:
        self._descriptors = descriptors
        self._waits = waits
        self._is_needed = is_needed
        self.failure: OSError | None = None
        self._jobs: queue.SimpleQueue[tuple[int, bytes] | _Written] = queue.SimpleQueue()
        self._handed = 0
        self._taken = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._in_loop = False
        self._lossy = False
        self._hurried = False
        self._dropped = 0
        self._abandoned = False
        self._on_failure: Callable[[OSError], None] = lambda failure: None

    @property
    def unwritten(self) -> int:
        """The number of bytes that are not written yet."""
        return self._handed - self._taken

    @property
    def is_full(self) -> bool:
        """Whether callers should wait for :meth:`room` before they write more."""
        return self._handed - self._taken > FULL_BYTES and not self._abandoned

    def write(self, descriptor: int, data: bytes) -> None:
        """Write in the background. Without an event loop, wait if much is unwritten."""
        if self._abandoned or not data:
            return
        if not self._waits:
            self._write(descriptor, data)
            return
        if sys.is_finalizing():
            # No thread runs any more. This is late output, such as a destructor's.
            with contextlib.suppress(OSError):
                os.write(descriptor, data)
            return
        if self._lossy and self.is_full:
            self._dropped += 1
            return
        if self._dropped:
            lost, self._dropped = self._dropped, 0
            self._put(descriptor, f"... {lost} lines lost: nobody read them.\n".encode())
        self._put(descriptor, data)
        if self.is_full and not self._in_loop:
            self.settle()

    def flush(self) -> None:
        """Wait until all is written, unless an event loop runs.

        Raises:
            OSError: It cannot be written.
        """
        if not self._in_loop:
            self.settle()
        if self.failure is not None and not self._abandoned:
            raise self.failure

    def settle(self, seconds: float | None = None) -> None:
        """Wait until everything is written; after :meth:`hurry` or with a limit, only as long as that allows.

        Args:
            seconds: at most.
        """
        if self._abandoned or not self.unwritten or sys.is_finalizing():
            return
        written = threading.Event()
        self._jobs.put(written.set)
        if seconds is None and not self._hurried:
            written.wait()
            return
        until = time.monotonic() + (HURRY_S if seconds is None else seconds)
        taken = -1
        while taken != self._taken and (left := until - time.monotonic()) > 0:
            taken = self._taken
            if written.wait(min(left, GRACE_S)):
                return
        if self._hurried:
            self.abandon()

    async def room(self) -> None:
        """Wait until the reader has everything written so far, or it cannot be written."""
        if self._abandoned or not self.unwritten:
            return
        # Only if there is a loop: `--help` needs none.
        import asyncio

        loop = asyncio.get_running_loop()
        written = loop.create_future()

        def done() -> None:
            if not written.done():
                written.set_result(None)

        def tell() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done)

        self._jobs.put(tell)
        await written

    @contextlib.contextmanager
    def unblocked(self, on_failure: Callable[[OSError], None] = lambda failure: None, *, lossy: bool = False) -> Any:
        """In this context nothing waits for the reader.

        Args:
            on_failure: called in the thread when the file cannot be written.
            lossy: drop what does not fit, and say so once there is room again, because nothing waits for
                :meth:`room`.
        """
        before = self._in_loop, self._lossy, self._on_failure
        self._in_loop, self._lossy, self._on_failure = True, lossy, on_failure
        try:
            yield
        finally:
            self._in_loop, self._lossy, self._on_failure = before

    def hurry(self) -> None:
        """The command is ending: wait for the reader only while it reads."""
        self._hurried = True

    def abandon(self) -> None:
        """Drop what is unwritten, and everything from now on."""
        self._abandoned = True

    def _put(self, descriptor: int, data: bytes) -> None:
        with self._lock:
            self._handed += len(data)
        self._jobs.put((descriptor, data))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="daemon: output", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if not isinstance(job, tuple):
                job()
                continue
            descriptor, data = job
            for start in range(0, len(data), _CHUNK_BYTES):
                chunk = data[start : start + _CHUNK_BYTES]
                self._write(descriptor, chunk)
                self._taken += len(chunk)

    def _write(self, descriptor: int, chunk: bytes) -> None:
        if self.failure is not None or self._abandoned:
            return
        try:
            self._descriptors.write_all(descriptor, chunk)
        except OSError as error:
            if not self._is_needed:
                self.abandon()
                return
            self.failure = error
            self._on_failure(error)


class Outlet(io.RawIOBase):
    """A binary stream whose bytes a :class:`Writer` writes.

    Args:
        descriptor: where to.
        writer: shared by all outlets to the same file.
    """

    def __init__(self, descriptor: int, writer: Writer) -> None:
        super().__init__()
        self.writer = writer
        self._descriptor = descriptor
        self._held: list[bytes] = []
        self._held_bytes = 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._held.append(taken)
        self._held_bytes += len(taken)
        if self._held_bytes >= _CHUNK_BYTES:
            self._hand_over()
        return len(taken)

    def flush(self) -> None:
        super().flush()
        self._hand_over()
        self.writer.flush()

    def _hand_over(self) -> None:
        # Each piece wakes the thread, which then competes with this one.
        held, self._held, self._held_bytes = self._held, [], 0
        self.writer.write(self._descriptor, b"".join(held))


class Inlet(io.RawIOBase):
    """A binary stream to read from that waits for its data even where the descriptor is non-blocking.

    Args:
        descriptor: where from.
        descriptors: read from it.
    """

    def __init__(self, descriptor: int, descriptors: Descriptors) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._descriptors = descriptors

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def readinto(self, buffer: Any) -> int:
        return self._descriptors.read_into(self._descriptor, buffer)
