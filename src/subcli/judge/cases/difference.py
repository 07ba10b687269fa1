"""What a learner needs of a wrong answer: where it goes wrong, and what stands there. Bounded in size."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from subcli.judge.process.text import shorten

Kind: TypeAlias = Literal["token", "number", "not_a_number", "missing", "extra", "space", "bytes"]
"""What differs: a word; a number that lies outside the tolerance; no number where one is wanted; the output ends too
early, or goes on; white space; bytes, where every byte counts."""

_TOKEN_CHARS: Final = 80
_LINES_BEFORE: Final = 2
_LINES_AFTER: Final = 4
_CHARS_BEFORE: Final = 80
_CHARS_AFTER: Final = 160
_BYTES_PER_CHAR: Final = 4


@dataclass(frozen=True)
class Place:
    """A place in an output or an answer.

    Attributes:
        line: Counted from 1.
        column: In characters, counted from 1.
        token: What stands there up to the next white space, cut; empty at the end.
        window: The lines around it, cut.
    """

    line: int
    column: int
    token: str
    window: str


@dataclass(frozen=True)
class Difference:
    """The first place where an output differs from the answer."""

    kind: Kind
    expected: Place
    actual: Place
    note: str = ""
    """What else is to be said, such as how far off a number is."""

    @property
    def message(self) -> str:
        """One sentence that says where and what."""
        wanted, got = self.expected, self.actual
        where = f"Line {got.line}, column {got.column}"
        if wanted.line != got.line:
            where += f" (line {wanted.line} of the answer)"
        if self.kind == "missing":
            if not got.window.strip():
                return f"The output is empty; expected {wanted.token}"
            return f"{where}: the output ends here; expected {wanted.token}"
        if self.kind == "extra":
            return f"{where}: expected the end of the output, got {got.token}"
        if self.kind == "not_a_number":
            return f"{where}: expected a number, {wanted.token}, got {got.token}"
        if self.kind in ("space", "bytes"):
            return f"{where}: {self.note}"
        return f"{where}: expected {wanted.token}, got {got.token}{self.note and f' ({self.note})'}"


def place(text: bytes, offset: int) -> Place:
    """The place at an offset.

    Args:
        text: An output or an answer, of any size and with any bytes.
        offset: Where, in bytes; the length of the text is its end.
    """
    start = text.rfind(b"\n", 0, offset) + 1
    token = text[offset : offset + _TOKEN_CHARS * _BYTES_PER_CHAR].split(maxsplit=1) if _token_at(text, offset) else []
    return Place(
        line=text.count(b"\n", 0, start) + 1,
        column=len(_decode(text[start:offset])) + 1,
        token=shorten(_decode(token[0]), _TOKEN_CHARS) if token else "",
        window=_window(text, start, offset),
    )


def _token_at(text: bytes, offset: int) -> bool:
    return offset < len(text) and not text[offset : offset + 1].isspace()


def _window(text: bytes, start: int, offset: int) -> str:
    """The lines around an offset in the line that begins at `start`."""
    before: list[str] = []
    end = start - 1
    while end >= 0 and len(before) < _LINES_BEFORE:
        begin = text.rfind(b"\n", 0, end) + 1
        before.insert(0, _line(text, begin, begin))
        end = begin - 1
    lines = [*before, _line(text, start, offset)]
    end = text.find(b"\n", offset)
    while end >= 0 and len(lines) <= len(before) + _LINES_AFTER and end + 1 < len(text):
        lines.append(_line(text, end + 1, end + 1))
        end = text.find(b"\n", end + 1)
    return "\n".join(lines) + ("\n" if end >= 0 else "")


def _line(text: bytes, start: int, offset: int) -> str:
    """The line that begins at `start`, cut around `offset`."""
    left = max(start, offset - _CHARS_BEFORE * _BYTES_PER_CHAR)
    while left > start and text[left] & 0xC0 == 0x80 and offset - left < (_CHARS_BEFORE + 1) * _BYTES_PER_CHAR:
        left -= 1
    stop = offset + _CHARS_AFTER * _BYTES_PER_CHAR
    right = text.find(b"\n", offset, stop)
    right = right if right >= 0 else min(stop, len(text))
    is_whole = text[right : right + 1] in (b"", b"\n")
    head, tail = _decode(text[left:offset]), _decode(text[offset:right], is_whole)
    is_cut_left = left > start or len(head) > _CHARS_BEFORE
    is_cut_right = not is_whole or len(tail) > _CHARS_AFTER
    return f"{'…' * is_cut_left}{head[-_CHARS_BEFORE:]}{tail[:_CHARS_AFTER]}{'…' * is_cut_right}"


def _decode(data: bytes, is_whole: bool = False) -> str:
    """As text; a character that is cut at the end is left out, unless the data is whole."""
    return codecs.getincrementaldecoder("utf-8")("backslashreplace").decode(data, is_whole)
