"""The conversation between a solution and an interactive checker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from subcli.judge.process.text import decode

_CHUNK_BYTES = 64 * 1024
_KEPT_BYTES = 6_000


class Transcript:
    """What the two have said: the beginning of it, line by line, `<` before what the solution reads."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, bytes]] = []
        self._size = 0

    def add(self, speaker: str, data: bytes) -> None:
        """Note what was said."""
        kept = data[: max(0, _KEPT_BYTES - self._size)]
        self._size += len(data)
        if kept and self._parts and self._parts[-1][0] == speaker:
            self._parts[-1] = (speaker, self._parts[-1][1] + kept)
        elif kept:
            self._parts.append((speaker, kept))

    def begin_pass(self, number: int) -> None:
        """The solution runs once more, after `number` times."""
        if number and self._size < _KEPT_BYTES:
            self._parts.append(("", f"(pass {number + 1})".encode()))

    def text(self) -> str:
        """All that was kept."""
        lines = [
            f"{speaker} {line}".lstrip()
            for speaker, data in self._parts
            for line in decode(data, cut_after=self._size > _KEPT_BYTES).splitlines()
        ]
        if self._size > _KEPT_BYTES:
            lines.append(f"[… {self._size - _KEPT_BYTES} bytes more]")
        return "\n".join(lines)


class Relay:
    """Moves what is written to one pipe to another, and notes it.

    Neither side learns early that the other one has gone. The listener reads the end only once somebody has seen that
    the speaker has ended (`release`): who fails because the other one has ended is never taken for the first of the
    two. Only a speaker that closes its end and goes on has said that this was all. And a speaker may go on when the
    listener has gone: what it says is thrown away. problemtools joins the two in the same way.

    Args:
        speaker: `>` or `<`.
        transcript: Where it is noted.
        goes_on: Whether the speaker has not begun to end.
        on_data: Called with what the speaker says.
    """

    def __init__(
        self,
        speaker: str,
        transcript: Transcript,
        goes_on: Callable[[], bool],
        on_data: Callable[[bytes], None] | None = None,
    ) -> None:
        self.reading, self._target = os.pipe()
        """`reading` is for the listener."""
        self._source, self.writing = os.pipe()
        """`writing` is for the speaker."""
        self.has_ended_early = False
        """Whether the listener has read the end while the speaker went on."""
        self._speaker = speaker
        self._transcript = transcript
        self._goes_on = goes_on
        self._on_data = on_data
        self._unsent = b""
        self._is_source_open = self._is_target_open = True
        self._is_released = False
        for descriptor in (self._source, self._target):
            os.set_blocking(descriptor, False)
            # Whoever runs as another user may open it again, as /dev/stdin or /dev/stdout.
            os.fchmod(descriptor, 0o666)
        asyncio.get_running_loop().add_reader(self._source, self._take)

    def release(self) -> None:
        """The speaker has ended: once everything has been moved, the listener reads the end."""
        self._is_released = True
        if not self._is_source_open:
            self._close_target()

    def close(self) -> None:
        """Move nothing more."""
        self._close_source()
        self._close_target()

    def _take(self) -> None:
        try:
            data = os.read(self._source, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._close_source()
            self.has_ended_early = not self._is_released and self._goes_on()
            if self._is_released or self.has_ended_early:
                self._close_target()
            return
        self._transcript.add(self._speaker, data)
        if self._on_data is not None:
            self._on_data(data)
        if self._is_target_open:
            self._unsent = data
            self._send()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._unsent = self._unsent[os.write(self._target, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._close_target()
        if self._unsent:
            loop.remove_reader(self._source)
            loop.add_writer(self._target, self._send)
        elif self._is_target_open:
            loop.remove_writer(self._target)
            loop.add_reader(self._source, self._take)

    def _close_source(self) -> None:
        if self._is_source_open:
            self._is_source_open = False
            asyncio.get_running_loop().remove_reader(self._source)
            os.close(self._source)

    def _close_target(self) -> None:
        """The listener has gone, or is to read the end."""
        if not self._is_target_open:
            return
        self._is_target_open = False
        self._unsent = b""
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._target)
        os.close(self._target)
        if self._is_source_open:
            loop.add_reader(self._source, self._take)
