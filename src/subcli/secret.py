"""Values that must not be seen, and text from which they are taken out.

A :class:`Secret` prints as ``***`` wherever it turns up by accident: in a log, a traceback, an f-string.
What libraries build out of secrets (a URL with ``?token=``, an ``Authorization`` header, a proxy's
``user:password@``) is caught by :func:`redact`, which every logger and every shown exception goes through.
"""

from __future__ import annotations

import logging
import re

MASK = "***"

_PATTERNS = (
    # ?token=…, &access_token=…, "password": "…", refresh_token=…
    re.compile(
        r"""(?ix) (\b(?:access_|refresh_|watch_|id_)?(?:token|password|passwd|secret|api_key)\b
            ["']? \s* [=:] \s* ["']?) (?!\*\*\*) ([^\s"'&,;)}\]]+)"""
    ),
    # Authorization: Bearer …, Proxy-Authorization: Basic …
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)(?!\*\*\*)([A-Za-z0-9._~+/=-]+)"),
    # scheme://user:password@host
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)(?!\*\*\*)([^\s/@\"']+)(?=@)"),
    # A JSON Web Token, wherever it stands (RFC 7519: three base64url parts, the first an object).
    re.compile(r"()(\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)"),
)


class Secret:
    """A token or password. ``reveal()`` is the only way to it.

    Two secrets are equal when what they hide is; the hash says nothing about it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that must send it."""
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
        raise TypeError("a secret is not pickled")


def redact(text: str, *known: Secret) -> str:
    """``text`` without secrets: those in ``known`` literally, others by the shapes they come in."""
    for secret in known:
        if secret:
            text = text.replace(secret.reveal(), MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MASK}", text)
    return text


class RedactingFilter(logging.Filter):
    """Takes secrets out of every record that passes, its arguments and its traceback included.

    Args:
        known: secrets to take out literally, beside the usual shapes.
    """

    def __init__(self, *known: Secret) -> None:
        super().__init__()
        self._known = known

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage(), *self._known)
        record.args = None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info), *self._known)
            record.exc_info = None
        return True
