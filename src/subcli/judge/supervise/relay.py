"""The conversation between a solution and an interactive checker."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

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
            for line in data.decode("utf-8", "backslashreplace").splitlines()
        ]
        if self._size > _KEPT_BYTES:
            lines.append(f"[… {self._size - _KEPT_BYTES} bytes more]")
        return "\n".join(lines)


class Relay:
    """Moves what is written to one pipe to another, and notes it. At the end it closes both.

    Args:
        speaker: `>` or `<`.
        transcript: Where it is noted.
    """

    def __init__(self, speaker: str, transcript: Transcript) -> None:
        self.reading, self._target = os.pipe()
        """`reading` is for the listener."""
        self._source, self.writing = os.pipe()
        """`writing` is for the speaker."""
        self._speaker = speaker
        self._transcript = transcript
        self._unsent = b""
        self._is_open = True
        self.moved = 0
        for descriptor in (self._source, self._target):
            os.set_blocking(descriptor, False)
            # Whoever runs as another user may open it again, as /dev/stdin or /dev/stdout.
            os.fchmod(descriptor, 0o666)
        asyncio.get_running_loop().add_reader(self._source, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self._source, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        self._transcript.add(self._speaker, data)
        self.moved += len(data)
        self._unsent = data
        self._send()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._unsent = self._unsent[os.write(self._target, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            # The listener is gone: the speaker is to notice it.
            self.close()
            return
        if self._unsent:
            loop.remove_reader(self._source)
            loop.add_writer(self._target, self._send)
        else:
            loop.remove_writer(self._target)
            loop.add_reader(self._source, self._take)

    def close(self) -> None:
        """Move nothing more."""
        if not self._is_open:
            return
        self._is_open = False
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._source)
        loop.remove_writer(self._target)
        with suppress(OSError):
            os.close(self._source)
        with suppress(OSError):
            os.close(self._target)
