"""What a learner needs to know about a wrong answer: where it goes wrong, and the text there. Bounded in size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from subcli.judge.process.text import decode, shorten

Kind: TypeAlias = Literal["token", "number", "not_a_number", "missing", "extra", "space", "bytes"]
"""What differs: a word; a number that lies outside the tolerance; no number where one is wanted; the output ends too
early, or goes on; white space; bytes, where every byte counts."""

_TOKEN_CHARS: Final = 80
LONG_BYTES: Final = 60
"""Tokens that have more than this in common are shown from shortly before their difference on."""
_BEFORE_BYTES: Final = 20
_TAIL_CHARS: Final = 40
"""Of a token whose beginning is left out."""
_LINES_BEFORE: Final = 2
_LINES_AFTER: Final = 4
_CHARS_BEFORE: Final = 80
_CHARS_AFTER: Final = 160
_CHARS_OF_OTHERS: Final = 100
"""Of the lines around that of the difference."""
_BYTES_PER_CHAR: Final = 4


@dataclass(frozen=True)
class Place:
    """A place in an output or an answer.

    Attributes:
        line: Counted from 1.
        column: In characters, counted from 1.
        number: Of the token in its line, counted from 1.
        token: What stands there up to the next white space, cut, with escapes; empty at the end.
        window: The lines around it, cut.
        at: Where in the window the place is, in characters.
    """

    line: int
    column: int
    number: int
    token: str
    window: str
    at: int


@dataclass(frozen=True)
class Difference:
    """The first place where an output differs from the answer.

    Attributes:
        kind: What differs.
        expected: Where, in the answer.
        actual: Where, in the output.
        note: What else is to be said, such as how far off a number is.
        before: How many tokens before it are right; None where bytes are compared.
        tokens: How many tokens the answer has.
        lines: How many lines the answer has.
    """

    kind: Kind
    expected: Place
    actual: Place
    note: str = ""
    before: int | None = None
    tokens: int = 0
    lines: int = 0

    @property
    def message(self) -> str:
        """One sentence that says where and what."""
        wanted, got = self.expected, self.actual
        if self.kind == "missing":
            return f"{self._end}; expected {self._rest}"
        if self.kind == "extra":
            return f"{self._where}: expected the end of the output, got {got.token}"
        if self.kind == "not_a_number":
            return f"{self._where}: expected a number, {wanted.token}, got {got.token}"
        if self.kind in ("space", "bytes"):
            return f"Line {got.line}, column {got.column}{self._of_answer()}: {self.note}"
        return f"{self._where}: expected {wanted.token}, got {got.token}{self.note and f' ({self.note})'}"

    @property
    def explanation(self) -> str:
        """What that means for the rest of the output, in a sentence."""
        match self.kind:
            case "missing":
                return "What it printed is right, and the rest is missing." if self.before else "It printed no answer."
            case "extra":
                return "The whole answer is there, and then more follows."
            case "bytes":
                return "Every byte counts in this problem."
            case "space":
                return "The words are right up to here. In this problem white space counts, too."
        count = self.before or 0
        right = "The token before it is right." if count == 1 else f"The {count:,} tokens before it are right."
        if self.kind == "token" and self.expected.token.lower() == self.actual.token.lower():
            return f"Only upper and lower case differ. {right if count else ''}".rstrip()
        return right if count else "It differs from the answer from its first token on."

    @property
    def suggestions(self) -> tuple[str, ...]:
        """What to do about it, where that can be known."""
        if self.kind == "missing" and not self.before:
            return ("Check that the program prints its answer to stdout before it ends.",)
        if self.kind == "missing":
            return ("Check whether a loop ends too early, or the last lines of the input are not read.",)
        if self.kind == "extra":
            return ("Print nothing but the answer; what is for yourself belongs on stderr.",)
        return ()

    @property
    def _where(self) -> str:
        got = self.actual
        return f"Line {got.line}, token {got.number}{self._of_answer(f', token {self.expected.number}')}"

    def _of_answer(self, more: str = "") -> str:
        line = self.expected.line
        return f" (line {line}{more} of the answer)" if line != self.actual.line and self.kind != "extra" else ""

    @property
    def _end(self) -> str:
        """Where the output ends."""
        wanted = self.expected
        if not self.before:
            return "No output but white space" if self.actual.window else "No output"
        if wanted.number > 1:
            return f"Output ends after token {wanted.number - 1} of line {wanted.line}"
        if self.actual.line in (wanted.line - 1, wanted.line):
            return f"Output ends after line {wanted.line - 1} of {self.lines}"
        return f"Output ends after {self.before} of {self.tokens} tokens"

    @property
    def _rest(self) -> str:
        """What is missing."""
        if self.before:
            return f"{self.expected.token} next"
        if self.tokens == 1:
            return self.expected.token
        lines = "1 line" if self.lines == 1 else f"{self.lines:,} lines"
        return f"{lines}, beginning with {self.expected.token}"


def place(text: bytes, offset: int, same: int = 0) -> Place:
    """The place at an offset.

    Args:
        text: An output or an answer, of any size and with any bytes.
        offset: Where, in bytes; the length of the text is its end.
        same: How many bytes of the token there are right; of many of them, the most are left out.
    """
    start = text.rfind(b"\n", 0, offset) + 1
    is_rest = same > LONG_BYTES
    differs = _character_at(text, offset, offset + same) if is_rest else offset
    here = _character_at(text, offset, differs - _BEFORE_BYTES) if is_rest else offset
    token = text[here : here + _TOKEN_CHARS * _BYTES_PER_CHAR].split(maxsplit=1) if _token_at(text, here) else []
    window, at = _window(text, start, differs)
    return Place(
        line=text.count(b"\n", 0, start) + 1,
        column=len(decode(text[start:differs], cut_after=True)) + 1,
        number=len(text[start:offset].split()) + 1,
        token=_visible(_cut_token(decode(token[0], cut_after=True), is_rest=is_rest)) if token else "",
        window=window,
        at=at,
    )


def _visible(token: str) -> str:
    """The token with escapes for what nobody would see, such as a byte order mark or a no-break space."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in token)


def _character_at(text: bytes, first: int, offset: int) -> int:
    """Where the character begins that the byte at an offset belongs to."""
    while first < offset < len(text) and text[offset] & 0xC0 == 0x80:
        offset -= 1
    return offset


def _cut_token(token: str, *, is_rest: bool) -> str:
    return f"…{shorten(token, _TAIL_CHARS)}" if is_rest else shorten(token, _TOKEN_CHARS)


def _token_at(text: bytes, offset: int) -> bool:
    return offset < len(text) and not text[offset : offset + 1].isspace()


def _window(text: bytes, start: int, offset: int) -> tuple[str, int]:
    """The lines around an offset in the line that begins at `start`, and where in them the offset is."""
    before: list[str] = []
    end = start - 1
    while end >= 0 and len(before) < _LINES_BEFORE:
        begin = text.rfind(b"\n", 0, end) + 1
        before.insert(0, _beginning(text, begin))
        end = begin - 1
    head, tail = _line(text, start, offset)
    lines = [*before, head + tail]
    end = text.find(b"\n", offset)
    while end >= 0 and len(lines) <= len(before) + _LINES_AFTER and end + 1 < len(text):
        lines.append(_beginning(text, end + 1))
        end = text.find(b"\n", end + 1)
    at = sum(len(line) + 1 for line in before) + len(head)
    return "\n".join(lines) + ("\n" if end >= 0 else ""), at


def _beginning(text: bytes, start: int) -> str:
    """The line that begins at `start`, cut."""
    return shorten(_line(text, start, start)[1], _CHARS_OF_OTHERS)


def _line(text: bytes, start: int, offset: int) -> tuple[str, str]:
    """The line that begins at `start`, up to `offset` and from there on, both cut."""
    left = max(start, offset - (_CHARS_BEFORE + 1) * _BYTES_PER_CHAR)
    stop = offset + _CHARS_AFTER * _BYTES_PER_CHAR
    right = text.find(b"\n", offset, stop)
    right = right if right >= 0 else min(stop, len(text))
    is_whole = text[right : right + 1] in (b"", b"\n")
    head, tail = (
        decode(text[left:offset], cut_before=left > start, cut_after=True),
        decode(text[offset:right], cut_after=not is_whole),
    )
    is_cut_left = left > start or len(head) > _CHARS_BEFORE
    is_cut_right = not is_whole or len(tail) > _CHARS_AFTER
    return f"{'…' * is_cut_left}{head[-_CHARS_BEFORE:]}", f"{tail[:_CHARS_AFTER]}{'…' * is_cut_right}"
