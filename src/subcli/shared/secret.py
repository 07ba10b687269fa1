"""Values that must not be shown, and redacting them from text.

A :class:`Secret` prints as ``***`` if it appears by accident: in a log, a traceback, an f-string. :func:`redact`, which
every log record and every exception shown passes through, catches the forms that libraries give secrets: a URL with
``?token=``, an ``Authorization`` header, the ``user:password@`` of a proxy.
"""

from __future__ import annotations

import functools
import logging
import re
from typing import Final
from urllib.parse import quote

MASK: Final = "***"

# The characters between a secret's name and its value: = in a URL, ": " in JSON (its quotes perhaps escaped once more),
# "', '" in a list of headers. No pattern overlaps the previous one: the time stays linear.
_BETWEEN: Final = r"""\\*["']?\s*(?:=|:|%3[dD]|,(?=\s*b?\\*["']))\s*"""
_NAME: Final = r"(?<![A-Za-z0-9])(?:token|password|passwd|secret|api[_-]?key|credentials?)"
_HEADER: Final = r"(?<![A-Za-z0-9])(?:authorization|cookie)"
_PATTERNS: Final = (
    # In quotes: all of it, whatever it is.
    (rf"""((?:{_NAME}|{_HEADER}){_BETWEEN}b?(\\*["']))(?!\*\*\*)(?:(?!\2)(?:\\.|.))+""", rf"\1{MASK}"),
    # A header, up to the end of its line.
    (rf"""({_HEADER}{_BETWEEN})(?!\s*(?:b?\\*["']|\*\*\*))[^\r\n"']+""", rf"\1{MASK}"),
    # A word.
    (rf"""({_NAME}{_BETWEEN})(?!b?\\*["']|\*\*\*|null\b|none\b)[^\s"'&,;<>)}}\]]+""", rf"\1{MASK}"),
    # Bearer …, Basic …, without the header's name.
    (r"\b((?:bearer|basic)\s+)(?!\*\*\*)[A-Za-z0-9._~+/=-]{8,}", rf"\1{MASK}"),
    # scheme://user:password@host
    (r"""(\b[a-z][a-z0-9+.-]{0,20}://)(?!\*\*\*@)[^\s/"'<>]+@""", rf"\1{MASK}@"),
    # Our own opaque tokens (subcli.shared.opaque_token), even with their ends cut off.
    (r"\bsubcli_(?:pat|link)_[0-9A-Za-z]{6,}", MASK),
    # A JSON Web Token, wherever it stands (RFC 7519: three base64url parts, the first an object).
    (r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?", MASK),
)


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compiled on first use, since compiling them would delay every start."""
    return tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), masked) for pattern, masked in _PATTERNS)


class Secret:
    """A token or password; :meth:`reveal` returns it. Secrets with the same value are equal."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret must not be pickled")


def is_token(text: str) -> bool:
    """Whether ``text`` can be sent as a token in a header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def redact(text: str, *known: Secret) -> str:
    """``text`` without secrets: the ``known`` ones literally, others by their usual patterns."""
    values = {form for secret in known if secret for form in (secret.reveal(), quote(secret.reveal(), safe=""))}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK)
    for pattern, masked in _patterns():
        text = pattern.sub(masked, text)
    return text


class RedactingFilter(logging.Filter):
    """Redacts secrets from every log record, its arguments, traceback and stack included.

    Args:
        known: secrets to redact literally, besides the usual patterns.
    """

    def __init__(self, *known: Secret) -> None:
        super().__init__()
        self._known = known

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(_message(record), *self._known)
        record.args = None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text, *self._known)
        if record.stack_info:
            record.stack_info = redact(record.stack_info, *self._known)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # The arguments do not fit the text; keep both.
        return f"{record.msg} {record.args}"
