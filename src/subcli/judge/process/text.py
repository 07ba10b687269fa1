"""Cutting and cleaning text that comes from a solution."""

from __future__ import annotations

import codecs
import os
import pwd
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that begin no character."""


def decode(data: bytes, *, cut_before: bool = False, cut_after: bool = False) -> str:
    """What a program printed, as text. Bytes that are not UTF-8 become escapes.

    Args:
        data: The bytes.
        cut_before: Whether they begin anywhere: what may be the end of a character is left out.
        cut_after: Whether they end anywhere: the same.
    """
    if cut_before:
        data = data[:3].lstrip(_CONTINUATION) + data[3:]
    return codecs.getincrementaldecoder("utf-8")("backslashreplace").decode(data, final=not cut_after)


def decode_beginning(data: bytes, limit_bytes: int) -> str:
    """The first `limit_bytes` as text."""
    return decode(data[:limit_bytes], cut_after=len(data) > limit_bytes)


def cut(text: str, limit_bytes: int) -> str:
    """Keep about `limit_bytes` of UTF-8 from both ends, with a marker that says how much is missing.

    The end gets two thirds, because the cause of a failure is usually printed last.
    """
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= limit_bytes:
        return text
    head, tail = limit_bytes // 3, limit_bytes - limit_bytes // 3
    return (
        decode(raw[:head], cut_after=True)
        + _marker(len(raw) - limit_bytes)
        + decode(raw[len(raw) - tail :], cut_before=True)
    )


def shorten(text: str, length: int) -> str:
    """The first `length` characters, for quoting inside a sentence; an ellipsis replaces the rest."""
    return text if len(text) <= length else text[: length - 1] + "…"


def last_line(text: str) -> str:
    """The last line that is not blank, short enough for a sentence; empty if there is none."""
    lines = text.rstrip().splitlines()
    return shorten(lines[-1].strip(), 500) if lines else ""


class ServerPaths:
    """The paths of this machine that those who submit must not see, and what stands for each.

    Args:
        workdir: The submission's directory: what is below it becomes relative.
        problem: The problem's directory, and others of its author: the same.
        scratch: Directories of the judge's own, which are hidden as a whole.
    """

    def __init__(self, workdir: str, problem: Collection[str] = (), scratch: Collection[str] = ()) -> None:
        home = _home()
        hidden = {**dict.fromkeys(scratch, "judge"), **dict.fromkeys(problem, ""), workdir: ""}
        names = {home: "~", **_of_this_program(), **hidden}
        self._names = {path.rstrip("/"): name for path, name in names.items() if path.rstrip("/")}
        # The longest first: one may lie in another. `/root` is not part of `/srv/root`; the others are unmistakable.
        words = [
            rf"(?<![\w.-]){re.escape(path)}" if path == home else re.escape(path)
            for path in sorted(self._names, key=len, reverse=True)
        ]
        self._pattern = re.compile(rf"({'|'.join(words)})(?:(/)|(?![\w-]))")

    def strip(self, text: str) -> str:
        """The text without these paths."""
        return self._pattern.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        name = self._names[found[1]]
        if found[2]:
            return f"{name}/" if name else ""
        return name or "."


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except KeyError:
        return ""


def _of_this_program() -> dict[str, str]:
    package = str(Path(__file__).resolve().parents[2])
    # The interpreter of the system is where everyone expects it.
    return {package: "subcli", **({sys.prefix: "python"} if sys.prefix != sys.base_prefix else {})}


def _marker(missing_bytes: int) -> str:
    return f"\n… [{missing_bytes} bytes cut] …\n"


class Tail:
    """The first and the last bytes of a stream of any length, in bounded memory."""

    def __init__(self, limit_bytes: int = 16_384) -> None:
        self._half = limit_bytes // 2
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
        """What was kept, with a marker where bytes are missing."""
        tail = bytes(self._tail[-self._half :])
        missing = self.total - len(self._head) - len(tail)
        if not missing:
            return decode(bytes(self._head) + tail)
        return decode(bytes(self._head), cut_after=True) + _marker(missing) + decode(tail, cut_before=True)
