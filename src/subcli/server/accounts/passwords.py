"""Passwords, hashed with argon2id (RFC 9106).

Hashing is slow on purpose, and these functions block.
"""

from __future__ import annotations

import base64
import secrets
import unicodedata

from argon2 import DEFAULT_HASH_LENGTH, DEFAULT_RANDOM_SALT_LENGTH, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from subcli.server.settings import PasswordCost
from subcli.shared.protocol import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH


class PasswordError(ValueError):
    """The text cannot be used as a password. Its message is a sentence for people."""


class Passwords:
    """Hashes and verifies passwords.

    Args:
        cost: of new hashes. Existing hashes are verified at the cost they were made with.
    """

    def __init__(self, cost: PasswordCost) -> None:
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        # Not the hash of anything, because computing one would delay each start by 0.2 s.
        salt, digest = _random(DEFAULT_RANDOM_SALT_LENGTH), _random(DEFAULT_HASH_LENGTH)
        self._dummy_hash = f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"

    def hash(self, password: str) -> str:
        """Hash a password. The result contains salt and cost.

        Raises:
            PasswordError: it is too short, too long or not valid Unicode.
        """
        return self._hasher.hash(check(password))

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether `password` matches the hash.

        None stands for an account that does not exist: that takes as long, and returns False.
        """
        try:
            matches = self._hasher.verify(
                password_hash or self._dummy_hash, _normalize(password[: PASSWORD_MAX_LENGTH + 1])
            )
        except (VerificationError, InvalidHashError, PasswordError):
            return False
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made at a different cost than new ones."""
        return self._hasher.check_needs_rehash(password_hash)


def _random(size_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(size_bytes)).decode().rstrip("=")


def check(password: str) -> bytes:
    """What of a password is hashed.

    Raises:
        PasswordError: it is too short, too long or not valid Unicode.
    """
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise PasswordError(f"A password must have between {PASSWORD_MIN_LENGTH} and {PASSWORD_MAX_LENGTH} characters.")
    return _normalize(password)


def _normalize(password: str) -> bytes:
    """NFC, so that composed and decomposed letters are the same (RFC 8265, section 4.2)."""
    try:
        return unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise PasswordError("The password is not valid Unicode.") from None
