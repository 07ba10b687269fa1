"""Sessions of users and their refresh tokens, in the database.

A refresh token is valid for one use, which returns its successor. A second use means that the token was stolen. Nobody
can tell which use was the thief's, so the whole session ends (RFC 9700, section 4.14.2). But a response can get lost
and the client may retry; therefore, during a short grace period, a used token returns its successor again. It is the
same successor, because it is derived from the token and the signing key: the family never branches, and a thief who
shares it with the owner is detected at the next use.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from subcli.server.accounts.groups import Groups
from subcli.server.accounts.holders import LINK, MACHINE_TOKEN, Holder, hash_of
from subcli.server.accounts.links import Links
from subcli.server.accounts.machine_tokens import MachineTokens
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import Users
from subcli.server.log.database import reading
from subcli.server.log.tables import refresh_tokens, sessions, used_tokens, users
from subcli.server.settings import ServerLimits

_REFRESH: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SUCCESSOR: Final = b"subcli: successor of a refresh token\0"


class InvalidRefreshTokenError(Exception):
    """The refresh token is unknown, expired or already used, or its session has ended."""


class ReusedRefreshTokenError(InvalidRefreshTokenError):
    """The refresh token was used before, so its session was ended. Carries that session."""

    def __init__(self, session: str, user: str) -> None:
        super().__init__(session, user)
        self.session = session
        self.user = user


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login, the user's name, and its newest refresh token."""

    id: str
    user_id: int
    user: str
    refresh_token: str


class Accounts:
    """Sessions in a database with the schema of `subcli.server.log.tables`.

    Attributes:
        users: whose sessions these are.
        groups: of these users.
        machine_tokens: their access tokens for machines.
        links: the links to their submissions.

    Args:
        key: the signing key, from which refresh tokens are derived; not needed to manage users.
        clock: Unix time in seconds.
        accepted: another signing key, which another gateway may use while keys are being changed.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        limits: ServerLimits,
        key: bytes = b"",
        accepted: bytes | None = None,
    ) -> None:
        self.users = Users(engine, clock)
        self.groups = Groups(engine)
        self.machine_tokens = MachineTokens(engine, clock, limits)
        self.links = Links(engine, clock, limits)
        self._others: dict[str, MachineTokens | Links] = {MACHINE_TOKEN: self.machine_tokens, LINK: self.links}
        self._write = engine
        self._read = reading(engine)
        self._clock = clock
        self._limits = limits
        self._keys = (key,) if accepted is None else (key, accepted)

    # -- sessions ------------------------------------------------------------------------------------

    def open_session(self, user_id: int, password_hash: str | None = None) -> LoginSession:
        """Open a new session.

        Args:
            password_hash: of the password that the user gave, if they gave one.

        Raises:
            UnknownUserError: the user was removed or disabled, or got another password, in the meantime.
        """
        session_id, token = secrets.token_hex(16), secrets.token_urlsafe(32)
        now = self._clock()
        verified = (
            users.c.password_hash.is_not(None) if password_hash is None else users.c.password_hash == password_hash
        )
        with self._write.begin() as connection:
            name = connection.execute(
                select(users.c.name)
                .where(users.c.id == user_id, verified, users.c.disabled_at.is_(None))
                .with_for_update()
            ).scalar_one_or_none()
            if name is None:
                raise UnknownUserError
            expires = now + self._limits.refresh_token_s
            connection.execute(
                insert(sessions).values(id=session_id, user_id=user_id, created_at=now, expires_at=expires)
            )
            connection.execute(
                insert(refresh_tokens).values(hash=hash_of(token), session_id=session_id, expires_at=expires)
            )
        return LoginSession(session_id, user_id, name, token)

    def rotate(self, token: str) -> LoginSession:
        """Exchange a refresh token for its successor, and extend the session.

        Raises:
            InvalidRefreshTokenError: the token is not valid. Reuse after the grace period also ends the session.
        """
        if not _REFRESH.fullmatch(token):
            raise InvalidRefreshTokenError
        now = self._clock()
        with self._write.begin() as connection:
            row = connection.execute(
                select(refresh_tokens, sessions.c.user_id, users.c.name)
                .join_from(refresh_tokens, sessions)
                .join(users)
                .where(refresh_tokens.c.hash == hash_of(token))
                .with_for_update(of=(refresh_tokens, sessions))
            ).one_or_none()
            if row is None or row.expires_at <= now:
                raise InvalidRefreshTokenError
            if row.used_at is None:
                session = LoginSession(row.session_id, row.user_id, row.name, _successor(token, self._keys[0]))
                self._use(connection, token, session, now)
                return session
            if now - row.used_at <= self._limits.refresh_grace_s:
                return LoginSession(row.session_id, row.user_id, row.name, self._given_successor(connection, token))
            # Raise only after this block has committed the deletion.
            connection.execute(delete(sessions).where(sessions.c.id == row.session_id))
        raise ReusedRefreshTokenError(row.session_id, row.name)

    def _use(self, connection: Connection, token: str, session: LoginSession, now: float) -> None:
        expires = now + self._limits.refresh_token_s
        connection.execute(update(refresh_tokens).where(refresh_tokens.c.hash == hash_of(token)).values(used_at=now))
        connection.execute(
            insert(refresh_tokens).values(
                hash=hash_of(session.refresh_token), session_id=session.id, expires_at=expires
            )
        )
        connection.execute(update(sessions).where(sessions.c.id == session.id).values(expires_at=expires))

    def _given_successor(self, connection: Connection, token: str) -> str:
        """The successor that a used token has got already, be it from a gateway with the other key."""
        candidates = [_successor(token, key) for key in self._keys]
        for each in candidates[1:]:
            query = select(refresh_tokens.c.hash).where(refresh_tokens.c.hash == hash_of(each))
            if connection.execute(query).first() is not None:
                return each
        return candidates[0]

    def holder(self, credential_id: str, user_id: int) -> Holder | None:
        """Who shows a session's token, an access token or a link, if it is valid and belongs to the user."""
        for prefix, others in self._others.items():
            if credential_id.startswith(prefix):
                return others.holder(credential_id, user_id)
        with self._read.begin() as connection:
            row = connection.execute(
                select(users.c.name, users.c.role)
                .join_from(sessions, users)
                .where(sessions.c.id == credential_id, users.c.id == user_id, sessions.c.expires_at > self._clock())
            ).one_or_none()
        return None if row is None else Holder(user_id, row.name, Role(row.role))

    def open_among(self, credential_ids: Collection[str]) -> dict[str, Role]:
        """Those of these sessions, access tokens and links that are valid, each with its user's role."""
        found: dict[str, Role] = {}
        left = set(credential_ids)
        for prefix, others in self._others.items():
            if chosen := {each for each in left if each.startswith(prefix)}:
                found |= others.open_among(chosen)
                left -= chosen
        if left:
            query = (
                select(sessions.c.id, users.c.role)
                .join_from(sessions, users)
                .where(sessions.c.id.in_(left), sessions.c.expires_at > self._clock())
            )
            with self._read.begin() as connection:
                found |= {row.id: Role(row.role) for row in connection.execute(query)}
        return found

    def end_session(self, session_id: str) -> None:
        """End a session. Does nothing if it does not exist."""
        with self._write.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.id == session_id))

    def session_of(self, token: str) -> str | None:
        """The session that a refresh token belongs to, even if the token was already used; None if it is unknown."""
        with self._read.begin() as connection:
            return connection.execute(
                select(refresh_tokens.c.session_id).where(refresh_tokens.c.hash == hash_of(token))
            ).scalar_one_or_none()

    def consume(self, token_id: str, expires_at: float) -> bool:
        """Mark a single-use token as used. Returns False if it already was."""
        try:
            with self._write.begin() as connection:
                connection.execute(insert(used_tokens).values(id=token_id, expires_at=expires_at))
        except IntegrityError:
            return False
        return True

    def delete_expired(self) -> None:
        """Delete what has expired, and refresh tokens whose reuse no longer has to be detected."""
        now = self._clock()
        used_before = now - self._limits.refresh_reuse_s
        self.machine_tokens.delete_expired()
        self.links.delete_expired()
        with self._write.begin() as connection:
            connection.execute(delete(used_tokens).where(used_tokens.c.expires_at < now))
            connection.execute(delete(sessions).where(sessions.c.expires_at < now))
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.expires_at < now))
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.used_at < used_before))


def _successor(token: str, key: bytes) -> str:
    digest = hmac.digest(key, _SUCCESSOR + token.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
