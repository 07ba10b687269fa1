"""Limits on the cost of a server's response: the size of its body, decompressed as well, and the values in its JSON.

httpx decompresses each chunk as a whole and as often as ``Content-Encoding`` says, so a few kilobytes become gigabytes.
:class:`BoundedTransport` decompresses instead of httpx, in small pieces, and stops at the limit.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

from subcli.shared.lenient_json import read_json

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""The largest response that is read: large enough for a page of events of 64 KiB each."""

MAX_VALUES: Final = 2_000_000
"""The most values in a response: enough for the results of 100,000 tests. Parsed, a value takes up to 240 bytes."""

_PIECE_BYTES: Final = 64 * 1024
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class BodyRefusedError(httpx.DecodingError):
    """The rest of a response's body is not read. The message says why."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Bounds and decompresses the bodies of the responses of another transport."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; see :class:`httpx.AsyncBaseTransport`."""
        response = await self._inner.handle_async_request(request)
        encoding = response.headers.pop("Content-Encoding", "").strip().lower()
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _BoundedStream(response.stream, encoding)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, encoding: str) -> None:
        self._inner = inner
        self._encoding = encoding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        is_gzip = self._encoding in _GZIP
        if not is_gzip and self._encoding not in ("", "identity"):
            raise BodyRefusedError(f"the response is encoded as {self._encoding[:40]!r}, which was not requested")
        received_bytes = read_bytes = 0
        gunzip = _Gunzip()
        async for chunk in self._inner:
            received_bytes += len(chunk)
            for piece in gunzip.pieces(chunk) if is_gzip else (chunk,):
                read_bytes += len(piece)
                if max(received_bytes, read_bytes) > MAX_BODY_BYTES:
                    raise BodyRefusedError("the response is too large")
                yield piece
        if not gunzip.is_complete:
            raise BodyRefusedError("the response is cut off")

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Gunzip:
    """Decompresses a gzip stream, which may have several members (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._member: Any = None

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here."""
        return self._member is None or bool(self._member.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next part of the stream, in pieces of bounded size.

        Raises:
            BodyRefusedError: it is not gzip.
        """
        more = bool(data)
        while more:
            if self._member is None or self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = self._member.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise BodyRefusedError("the response claims to be gzip, but is not") from None
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # A full piece: zlib may have more output without further input.
            more = bool(data) or (len(piece) == _PIECE_BYTES and not self._member.eof)
            yield piece


def check_values(content: bytes) -> None:
    """Check how many values a JSON text has, before memory is spent on them.

    Raises:
        BodyRefusedError: they are too many.
    """
    # Most texts have few of these characters, even counting those in strings, which are slower to exclude.
    if _values(content) > MAX_VALUES and _values(_STRING.sub(b'""', content)) > MAX_VALUES:
        raise BodyRefusedError("the response has too many values")


def _values(content: bytes) -> int:
    return sum(map(content.count, (b",", b"[", b"{")))


def decode_json(content: bytes) -> Any:
    """The JSON in a body, ``{}`` for an empty one; ``None`` if it is something else."""
    try:
        return read_json(content) if content else {}
    except (ValueError, RecursionError):
        return None
