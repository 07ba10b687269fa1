"""What a server process writes about itself, on stderr: lines for people or objects for machines.

Every line passes the same handler. It says which request and which submission it is about, and shows no
secret (`subcli.shared.secret.RedactingFilter`), whoever logged it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO, TypeAlias

from subcli.shared.protocol import timestamp
from subcli.shared.secret import RedactingFilter, Secret

Format: TypeAlias = Literal["text", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

_REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)
_SUBMISSION: Final[ContextVar[int | None]] = ContextVar("submission", default=None)
_FIELDS: Final = ("request", "submission", "client", "method", "path", "status", "code", "seconds")
"""What a line may say beside its message, in this order."""
# A line is a line: what a client sends cannot begin another, nor write to a terminal.
_VISIBLE: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)
}


def configure(
    form: Format, level: Level, stream: TextIO | None = None, secrets: Sequence[Secret] = ()
) -> logging.Handler:
    """Send everything that is logged in this process to `stream`, by default stderr, in this format.

    Args:
        form: `text` is a line a record, `json` an object a line.
        level: and what is more important.
        secrets: to take out literally, beside the usual shapes.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_about)
    handler.addFilter(RedactingFilter(*secrets))
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


@contextmanager
def log_context(*, request: str | None = None, submission: int | None = None) -> Iterator[None]:
    """Within this, in this task and those it makes, every line says what it is about."""
    tokens = [(variable, variable.set(value)) for variable, value in _given(request, submission)]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _given(request: str | None, submission: int | None) -> list[tuple[ContextVar[Any], Any]]:
    pairs: list[tuple[ContextVar[Any], Any]] = [(_REQUEST, request), (_SUBMISSION, submission)]
    return [(variable, value) for variable, value in pairs if value is not None]


def _about(record: logging.LogRecord) -> bool:
    """A filter that adds what the record is about."""
    for name, variable in (("request", _REQUEST), ("submission", _SUBMISSION)):
        value = variable.get()
        if value is not None and not hasattr(record, name):
            setattr(record, name, value)
    return True


def _said(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}


class _Text(logging.Formatter):
    """`2026-11-24T06:14:22.123Z WARNING subcli.server.jobs.workers: message request=… submission=…`"""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().translate(_VISIBLE)
        said = "".join(f" {name}={str(value).translate(_VISIBLE)}" for name, value in _said(record).items())
        line = f"{timestamp(record.created)} {record.levelname} {record.name}: {message}{said}"
        behind = [text for text in (_traceback(record), record.stack_info) if text]
        # A traceback has lines of its own; they are set off, so that none looks like a record.
        return line + "".join(f"\n  {row.translate(_VISIBLE)}" for text in behind for row in text.splitlines())


class _Json(logging.Formatter):
    """An object with `time`, `level`, `logger`, `message`, and what is known beside."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_said(record),
        }
        if traceback := _traceback(record):
            fields["traceback"] = traceback
        if record.stack_info:
            fields["stack"] = record.stack_info
        return json.dumps(fields, default=str)


def _traceback(record: logging.LogRecord) -> str | None:
    # The redacting filter has made a text of it.
    if record.exc_text is None and record.exc_info:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text
