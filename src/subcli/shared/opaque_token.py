"""Tokens that only their server understands: access tokens for machines, and the tokens of links.

Such a token begins with a prefix that says what it is and whose, so that secret scanners find one that was published,
and ends with a checksum, so that they find nothing else and a server looks up no typing errors: the form that GitHub's
tokens have. `PATTERN` is what to tell a scanner.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

ACCESS: Final = "subcli_pat_"
"""The prefix of an access token for machines,"""
LINK: Final = "subcli_link_"
"""and of the token in a link."""
PATTERN: Final = r"subcli_(?:pat|link)_[0-9A-Za-z]{36}"
RANDOM_BYTES: Final = 22
"""176 bits."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH: Final = 30
_CHECKSUM_LENGTH: Final = 6
_TOKEN: Final = re.compile(PATTERN, re.ASCII)


def make(prefix: str, random: bytes) -> str:
    """A token with this prefix.

    Args:
        random: `RANDOM_BYTES` of them.
    """
    body = prefix + _digits(int.from_bytes(random, "big"), _BODY_LENGTH)
    return body + _checksum(body)


def is_ours(token: str) -> bool:
    """Whether a token begins as ours do, so that it cannot be renewed."""
    return token.startswith((ACCESS, LINK))


def is_well_formed(token: str) -> bool:
    """Whether this is a token of ours that was not mistyped. Only its server knows whether it is valid."""
    return _TOKEN.fullmatch(token) is not None and _checksum(token[:-_CHECKSUM_LENGTH]) == token[-_CHECKSUM_LENGTH:]


def _checksum(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _digits(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
