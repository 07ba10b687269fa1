"""Exit codes, all in one place (contract, section 3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from subcli.core.errors import InterruptedByUser, SubcliError

OK: Final = 0
NOT_PASSED: Final = 1
USAGE: Final = 2
INTERNAL: Final = 3
INTERRUPTED: Final = 128
READER_GONE: Final = 141

_BY_KIND: Final = {
    "usage": USAGE,
    "internal": INTERNAL,
    "auth": 4,
    "not_found": 5,
    "network": 6,
    "server": 6,
    "timeout": 7,
    "rate_limited": 8,
}

MAYBE_SUBMITTED: Final = "The submission may not have arrived; `subcli list` shows what did."
"""The hint if a command ended before the server answered its POST."""

LOCAL: Final = (OK, USAGE, INTERNAL, 130)
"""The codes of a command that sends no request."""

REQUESTING: Final = (OK, USAGE, INTERNAL, 4, 5, 6, 8, 130)
"""The codes of one that sends requests."""

WATCHING: Final = (OK, NOT_PASSED, USAGE, INTERNAL, 4, 5, 6, 7, 8, 130, READER_GONE)
"""The codes of one that waits for a verdict."""

JUDGING: Final = (OK, NOT_PASSED, USAGE, INTERNAL, 6, 7, 130, READER_GONE)
"""The codes of one that judges by itself."""

MANUAL: Final = "subcli-exit-codes"
"""The page that explains all codes."""

_MEANINGS: Final = {
    OK: "done",
    NOT_PASSED: "judged and not passed; nothing else exits 1",
    USAGE: "usage or configuration error",
    INTERNAL: "a bug in subcli",
    4: "not authenticated",
    5: "not found",
    6: "network or server error: no verdict available",
    7: "--timeout expired: the verdict is unknown",
    8: "still rate limited after all attempts",
    130: "interrupted (143: terminated)",
    READER_GONE: "the reader of stdout closed the pipe",
}


class CtrlC(Exception):
    """Ctrl-C outside of the event loop. Not a ``KeyboardInterrupt``, on which typer would exit silently."""


class ReaderGone(Exception):
    """Nobody reads stdout any more. Not an ``OSError``, on which typer would exit with its own code."""


def of_error(error: SubcliError) -> int:
    """The exit code of an error: by its kind; for an interruption 128 + the signal's number."""
    if isinstance(error, InterruptedByUser):
        return INTERRUPTED + error.signal_number
    return of_kind(error.kind)


def of_kind(kind: str) -> int:
    """The exit code of a kind of error, other than an interruption."""
    return _BY_KIND[kind]


def of_verdict(final_status: str) -> int:
    """The exit code of a verdict. It alone decides; ``error`` is the judge's own fault."""
    if final_status == "passed":
        return OK
    return 6 if final_status == "error" else NOT_PASSED


def meanings(codes: Sequence[int]) -> list[tuple[int, str]]:
    """What each of these codes means, for the help of a command that can end with them."""
    told = dict(_MEANINGS)
    if NOT_PASSED in codes:
        told[OK] = "the verdict is passed"
    else:
        told[6] = "network or server error"
    return [(code, told[code]) for code in codes]


def epilog(example: str, codes: Sequence[int]) -> str:
    """The text below the options in the help of a command.

    Args:
        example: command lines.
        codes: those that it can end with; none for a group, whose commands have their own.
    """
    # "\\b" before a paragraph keeps its line breaks.
    lines = "".join(f"\n  {line}" for line in example.splitlines())
    told = f"\n\nExit codes: {ranges(codes)}; `man {MANUAL}` explains them." if codes else ""
    return f"\b\nExample:{lines}{told}"


def ranges(codes: Sequence[int]) -> str:
    """Codes in ascending order, in few characters: ``0-3, 130``."""
    parts: list[str] = []
    for _, group in itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0]):
        first, *_, last = [code for _, code in group] * 2
        parts.append(str(first) if first == last else f"{first}-{last}" if last > first + 1 else f"{first}, {last}")
    return ", ".join(parts)


def from_ranges(text: str) -> list[int]:
    """The codes of which :func:`ranges` made this text."""
    spans = (part.split("-") for part in text.split(", "))
    return [code for first, *last in spans for code in range(int(first), int((last or [first])[0]) + 1)]
