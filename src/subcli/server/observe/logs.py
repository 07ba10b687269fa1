"""Logging of server processes: text for people or JSON for machines, on stderr.

Every record passes the same handler, whoever logs it. The handler adds the request and the submission, and
redacts secrets (`subcli.shared.secret.RedactingFilter`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO, TypeAlias

from subcli.shared.encoding import INVISIBLE, timestamp
from subcli.shared.secret import RedactingFilter, Secret

Format: TypeAlias = Literal["text", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

_REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)
_SUBMISSION: Final[ContextVar[int | None]] = ContextVar("submission", default=None)
_FIELDS: Final = (
    *("request", "submission", "client", "method", "path", "status", "code", "seconds"),
    *("outcome", "reason", "by", "session"),
    *("role", "before", "group", "token_name", "scope", "submissions", "links"),
    *("user", "problem", "language", "verdict", "attempt", "waiting_s", "judging_s", "worker"),
)
"""Extra fields of a record, in this order."""
_HIDDEN: Final = re.compile(f"[\t\n{INVISIBLE}\ud800-\udfff]")


def configure(
    form: Format, level: Level, stream: TextIO | None = None, secrets: Sequence[Secret] = ()
) -> logging.Handler:
    """Log everything in this process to `stream`.

    Args:
        form: `text` or `json`, one line per record.
        level: the minimum level.
        stream: stderr by default.
        secrets: redacted literally, in addition to everything that looks like a secret.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    prepare(handler, form, secrets)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def prepare(handler: logging.Handler, form: Format, secrets: Sequence[Secret] = ()) -> None:
    """Let a handler write records as all others are written: with their context, redacted, in this format."""
    handler.addFilter(_add_context)
    handler.addFilter(RedactingFilter(*secrets))
    handler.setFormatter(_Json() if form == "json" else _Text())


@contextmanager
def log_context(*, request: str | None = None, submission: int | None = None) -> Iterator[None]:
    """Add a request or submission to every record logged in this context, child tasks included."""
    tokens = [(variable, variable.set(value)) for variable, value in _given(request, submission)]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _given(request: str | None, submission: int | None) -> list[tuple[ContextVar[Any], Any]]:
    pairs: list[tuple[ContextVar[Any], Any]] = [(_REQUEST, request), (_SUBMISSION, submission)]
    return [(variable, value) for variable, value in pairs if value is not None]


def _add_context(record: logging.LogRecord) -> bool:
    """A filter that adds the current request and submission to a record."""
    for name, variable in (("request", _REQUEST), ("submission", _SUBMISSION)):
        value = variable.get()
        if value is not None and not hasattr(record, name):
            setattr(record, name, value)
    return True


def _extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}


def _visible(text: str) -> str:
    """Text from clients cannot start a new line, control a terminal, or hide."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _Text(logging.Formatter):
    """`2026-11-24T06:14:22.123Z WARNING subcli.server.jobs.workers: message request=… submission=…`"""

    def format(self, record: logging.LogRecord) -> str:
        message = _visible(record.getMessage())
        fields = "".join(f" {name}={_visible(str(value))}" for name, value in _extra_fields(record).items())
        line = f"{timestamp(record.created)} {record.levelname} {record.name}: {message}{fields}"
        details = [text for text in (_traceback(record), record.stack_info) if text]
        # Tracebacks are indented, so that none of their lines looks like a record.
        return line + "".join(f"\n  {_visible(row)}" for text in details for row in text.splitlines())


class _Json(logging.Formatter):
    """An object with `time`, `level`, `logger`, `message` and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra_fields(record),
        }
        if traceback := _traceback(record):
            fields["traceback"] = traceback
        if record.stack_info:
            fields["stack"] = record.stack_info
        return json.dumps(fields, default=str)


def _traceback(record: logging.LogRecord) -> str | None:
    # The redacting filter has already formatted it.
    if record.exc_text is None and record.exc_info:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text
