"""Access tokens for machines, in the database.

Only their hashes are stored. A token that has expired is kept for a while, so that its user is told so; one that was
revoked is deleted.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, Row, Select, delete, func, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from subcli.server.accounts.holders import MACHINE_TOKEN, Holder, hash_of
from subcli.server.accounts.permissions import Credential, Role
from subcli.server.accounts.tokens import AccessClaims, TokenError
from subcli.server.log.database import reading
from subcli.server.log.tables import machine_tokens, users
from subcli.server.settings import ServerLimits
from subcli.shared import opaque_token

_log: Final = logging.getLogger(__name__)
EXPIRED: Final = "this access token has expired; create another with `subcli auth token create`"
REVOKED: Final = "this access token is not valid, or was revoked"


class UnknownTokenError(LookupError):
    """This user has no such access token."""


class TokenNameTakenError(Exception):
    """The user has an access token with this name, which has not expired."""


class TooManyTokensError(Exception):
    """The user has as many access tokens as are allowed."""


@dataclass(frozen=True, slots=True)
class MachineToken:
    """An access token, as its user sees it later. Times are Unix seconds."""

    id: int
    name: str
    scope: str
    created_at: float
    expires_at: float
    last_used_at: float | None


class MachineTokens:
    """The access tokens of all users.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float], limits: ServerLimits) -> None:
        self._write = engine
        self._read = reading(engine)
        self._clock = clock
        self._limits = limits

    def create(self, user_id: int, name: str, scope: str, lifetime_s: float) -> tuple[MachineToken, str]:
        """Create a token. Returns it with its text, which cannot be read later.

        Raises:
            TokenNameTakenError: a token with this name is still valid.
            TooManyTokensError: the user has too many.
        """
        now = self._clock()
        text = opaque_token.make(opaque_token.ACCESS, secrets.token_bytes(opaque_token.RANDOM_BYTES))
        owned = machine_tokens.c.user_id == user_id
        with self._write.begin() as connection:
            # One at a time, so that two cannot exceed the limit together.
            connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
            expired = machine_tokens.c.expires_at <= now
            connection.execute(delete(machine_tokens).where(owned, machine_tokens.c.name == name, expired))
            names = set(connection.execute(select(machine_tokens.c.name).where(owned)).scalars())
            if name in names:
                raise TokenNameTakenError
            live = select(func.count()).select_from(machine_tokens).where(owned, ~expired)
            if connection.execute(live).scalar_one() >= self._limits.machine_tokens:
                raise TooManyTokensError
            values = {
                "user_id": user_id,
                "name": name,
                "hash": hash_of(text),
                "scope": scope,
                "created_at": now,
                "expires_at": now + lifetime_s,
            }
            row = connection.execute(insert(machine_tokens).values(**values).returning(*_SHOWN)).one()
        return MachineToken(*row), text

    def of_user(self, user_id: int) -> list[MachineToken]:
        """A user's tokens, oldest first; also those that have expired."""
        query = select(*_SHOWN).where(machine_tokens.c.user_id == user_id).order_by(machine_tokens.c.id)
        with self._read.begin() as connection:
            return [MachineToken(*row) for row in connection.execute(query)]

    def revoke(self, user_id: int, name: str) -> MachineToken:
        """Delete a token, by its name or, if none has this name, by its id.

        Raises:
            UnknownTokenError: this user has no such token.
        """
        if not name.isprintable():
            # PostgreSQL takes no NUL.
            raise UnknownTokenError
        is_meant = machine_tokens.c.name == name
        if name.isascii() and name.isdecimal() and len(name) <= _MAX_DIGITS:
            is_meant = or_(is_meant, machine_tokens.c.id == int(name))
        with self._write.begin() as connection:
            found = connection.execute(
                select(*_SHOWN).where(machine_tokens.c.user_id == user_id, is_meant).with_for_update()
            ).all()
            if not found:
                raise UnknownTokenError
            row = next((each for each in found if each.name == name), found[0])
            connection.execute(delete(machine_tokens).where(machine_tokens.c.id == row.id))
        return MachineToken(*row)

    # -- using ---------------------------------------------------------------------------------------

    def verify(self, text: str) -> tuple[AccessClaims, Holder]:
        """Whose token this is; its use is recorded.

        Raises:
            TokenError: it is not valid, or has expired.
        """
        if not opaque_token.is_well_formed(text):
            raise TokenError(REVOKED)
        with self._read.begin() as connection:
            row = connection.execute(_HELD.where(machine_tokens.c.hash == hash_of(text))).one_or_none()
        if row is None:
            raise TokenError(REVOKED)
        now = self._clock()
        if row.expires_at <= now:
            raise TokenError(EXPIRED)
        if row.last_used_at is None or row.last_used_at <= now - self._limits.machine_token_used_s:
            self._record_use(row.id, now)
        return AccessClaims(row.user_id, f"{MACHINE_TOKEN}{row.id}", row.expires_at), _holder(row)

    def _record_use(self, token_id: int, now: float) -> None:
        before = machine_tokens.c.last_used_at
        is_due = or_(before.is_(None), before <= now - self._limits.machine_token_used_s)
        try:
            with self._write.begin() as connection:
                connection.execute(
                    update(machine_tokens).where(machine_tokens.c.id == token_id, is_due).values(last_used_at=now)
                )
        except SQLAlchemyError as error:
            # The request is worth more than the record.
            _log.warning("the use of an access token cannot be recorded: %s", getattr(error, "orig", error))

    def holder(self, credential_id: str, user_id: int) -> Holder | None:
        """Who shows the token with this id; None if it is not valid any more."""
        number = number_of(credential_id, MACHINE_TOKEN)
        query = _HELD.where(machine_tokens.c.id == number, users.c.id == user_id)
        with self._read.begin() as connection:
            row = connection.execute(query.where(machine_tokens.c.expires_at > self._clock())).one_or_none()
        return None if row is None else _holder(row)

    def open_among(self, ids: Collection[str]) -> dict[str, Role]:
        """Those of these tokens that are valid, each with the role of its user."""
        numbers = [number_of(each, MACHINE_TOKEN) for each in ids]
        query = _HELD.where(machine_tokens.c.id.in_(numbers), machine_tokens.c.expires_at > self._clock())
        with self._read.begin() as connection:
            return {f"{MACHINE_TOKEN}{row.id}": Role(row.role) for row in connection.execute(query)}

    def delete_expired(self) -> None:
        """Delete those that expired long ago."""
        with self._write.begin() as connection:
            kept_since = self._clock() - self._limits.machine_token_kept_s
            connection.execute(delete(machine_tokens).where(machine_tokens.c.expires_at < kept_since))


_MAX_DIGITS: Final = 18
_SHOWN: Final = [machine_tokens.c[name] for name in MachineToken.__dataclass_fields__]
_HELD: Final[Select[*tuple[Any, ...]]] = (
    select(machine_tokens, users.c.name.label("user"), users.c.role)
    .join_from(machine_tokens, users)
    .where(users.c.disabled_at.is_(None), users.c.password_hash.is_not(None))
)


def _holder(row: Row[Any]) -> Holder:
    return Holder(row.user_id, row.user, Role(row.role), Credential(row.scope), token_name=row.name)


def number_of(credential_id: str, prefix: str) -> int:
    """The number in an id of this kind; one that no row has if it is of another kind."""
    with suppress(ValueError):
        return int(credential_id.removeprefix(prefix))
    return -1
