"""Cutting what a solution prints, with a marker that says how much is gone."""

from __future__ import annotations


def cut(text: str, limit: int) -> str:
    """At most about `limit` bytes of UTF-8: the beginning and, since causes stand there, more of the end."""
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= limit:
        return text
    head, tail = limit // 3, limit - limit // 3
    return (
        raw[:head].decode("utf-8", "ignore")
        + f"\n… [{len(raw) - limit} bytes cut] …\n"
        + raw[len(raw) - tail :].decode("utf-8", "ignore")
    )


class Tail:
    """The first and the last bytes of a stream of any length, in bounded memory."""

    def __init__(self, limit: int = 16_384) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        """Bytes seen so far."""

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def text(self) -> str:
        tail = bytes(self._tail[-self._half :])
        lost = self.total - len(self._head) - len(tail)
        if not lost:
            return (bytes(self._head) + tail).decode("utf-8", "backslashreplace")
        marker = f"\n… [{lost} bytes cut] …\n"
        return self._head.decode("utf-8", "backslashreplace") + marker + tail.decode("utf-8", "backslashreplace")
