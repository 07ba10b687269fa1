"""The traces of failed tests as they leave the judge: packed, with lines of code, without paths of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from subcli.judge.analysis.finding import Context
from subcli.judge.process.text import ServerPaths, shorten
from subcli.shared.run_trace import MAX_PACKED_BYTES, decode_trace, digest_of, encode_trace, pack

_SUBMISSION_BYTES: Final = 512 * 1024
"""All packed traces of one submission."""
_LINE_CHARS: Final = 200


class PackedTrace(NamedTuple):
    """A trace that leaves the judge."""

    seed: int
    packed: bytes


class RunTraces:
    """Packs traces, as long as there is room.

    Args:
        files: The submission.
        paths: What is removed.
    """

    def __init__(self, files: Mapping[str, str], paths: ServerPaths) -> None:
        self._files = files
        self._paths = paths
        self._room = _SUBMISSION_BYTES

    def packed(self, text: str) -> PackedTrace | None:
        """Pack the trace that pytest's process reported in JSON. None if there is no room for it."""
        trace = decode_trace(self._paths.strip(text))
        context = Context(files=self._files, language="")
        places = tuple(
            msgspec.structs.replace(place, text=shorten(context.line_text(place.file, place.line), _LINE_CHARS))
            for place in trace.places
        )
        source = digest_of(part for item in sorted(self._files.items()) for part in item)
        packed = pack(encode_trace(msgspec.structs.replace(trace, places=places, source=source)))
        if len(packed) > min(self._room, MAX_PACKED_BYTES):
            return None
        self._room -= len(packed)
        return PackedTrace(trace.seed, packed)
