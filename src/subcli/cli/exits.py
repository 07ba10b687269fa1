"""Exit codes, all in one place (contract, section 3)."""

from __future__ import annotations

from typing import Final

from subcli.errors import InterruptedByUser, SubcliError

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


class ReaderGone(Exception):
    """Nobody reads stdout any more. Not an ``OSError``: typer would make an exit of its own of that."""


def of_error(error: SubcliError) -> int:
    """The exit code of an error: by its kind; for an interruption 128 + the signal's number."""
    if isinstance(error, InterruptedByUser):
        return INTERRUPTED + error.signal_number
    return _BY_KIND[error.kind]


def of_verdict(final_status: str) -> int:
    """The exit code of a verdict. It alone decides; ``error`` is the judge's own fault."""
    if final_status == "passed":
        return OK
    return 6 if final_status == "error" else NOT_PASSED
