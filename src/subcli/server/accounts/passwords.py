"""Passwords, hashed with argon2id (RFC 9106). Slow on purpose: these functions block."""

from __future__ import annotations

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from subcli.server.settings import PasswordCost

SHORTEST: Final = 8
LONGEST: Final = 1024
"""Characters."""


class PasswordError(ValueError):
    """This cannot be a password. Carries a sentence as its text."""


class Passwords:
    """Hashes passwords and compares them.

    Args:
        cost: of a new hash. An old one is compared at the cost it was made with.
    """

    def __init__(self, cost: PasswordCost) -> None:
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._nobodys = self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """The hash to keep, with its salt and cost in it.

        Raises:
            PasswordError: too short, too long, or no text.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise PasswordError(f"A password has between {SHORTEST} and {LONGEST} characters.")
        return self._hasher.hash(_normal(password))

    def verify(self, password: str, kept: str | None) -> bool:
        """Whether `password` is the one behind the hash `kept`.

        For None, an account that is not there, it is as much work, and wrong.
        """
        try:
            right = self._hasher.verify(kept or self._nobodys, _normal(password[: LONGEST + 1]))
        except (VerificationError, InvalidHashError, PasswordError):
            return False
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made at another cost than new ones are."""
        return self._hasher.check_needs_rehash(kept)


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes its letters (RFC 8265, section 4.2)."""
    try:
        return unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise PasswordError("The password is no text.") from None
