"""Users, their sessions and refresh tokens, in the database.

A refresh token is valid for one use, which returns its successor. A second use means that the token was stolen. Nobody
can tell which use was the thief's, so the whole session ends (RFC 9700, section 4.14.2). But a response can get lost
and the client may retry; therefore, during a short grace period, a used token returns its successor again. It is the
same successor, because it is derived from the token and the signing key: the family never branches, and a thief who
shares it with the owner is detected at the next use.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from subcli.server.log.database import reading
from subcli.server.log.tables import refresh_tokens, sessions, used_tokens, users
from subcli.server.settings import ServerLimits

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
"""A valid user name."""
_REFRESH: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SUCCESSOR: Final = b"subcli: successor of a refresh token\0"


class UserExistsError(Exception):
    """A user with this name already exists."""


class UnknownUserError(LookupError):
    """No user with this name exists."""


class InvalidRefreshTokenError(Exception):
    """The refresh token is unknown, expired or already used, or its session has ended."""


class ReusedRefreshTokenError(InvalidRefreshTokenError):
    """The refresh token was used before, so its session was ended. Carries that session."""

    def __init__(self, session: str, user: str) -> None:
        super().__init__(session, user)
        self.session = session
        self.user = user


@dataclass(frozen=True, slots=True)
class User:
    """One user, as shown by `subcli user list`.

    Attributes:
        created_at: Unix time in seconds.
        sessions: number of open sessions.
    """

    name: str
    created_at: float
    sessions: int


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login, the user's name, and its newest refresh token."""

    id: str
    user_id: int
    user: str
    refresh_token: str


class Accounts:
    """Users and sessions in a database with the schema of `subcli.server.log.tables`.

    Args:
        key: the signing key, from which refresh tokens are derived; not needed to manage users.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float], limits: ServerLimits, key: bytes = b"") -> None:
        self._write = engine
        self._read = reading(engine)
        self._clock = clock
        self._limits = limits
        self._key = key

    # -- users ---------------------------------------------------------------------------------------

    def add_user(self, name: str, password_hash: str) -> None:
        """Add a user.

        Raises:
            UserExistsError: the name is taken.
        """
        try:
            with self._write.begin() as connection:
                connection.execute(
                    insert(users).values(name=name, password_hash=password_hash, created_at=self._clock())
                )
        except IntegrityError:
            raise UserExistsError from None

    def list_users(self) -> list[User]:
        """Users who can log in, sorted by name."""
        is_open = sessions.c.expires_at > self._clock()
        query = (
            select(users.c.name, users.c.created_at, func.count(sessions.c.id))
            .outerjoin_from(users, sessions, (sessions.c.user_id == users.c.id) & is_open)
            .where(users.c.password_hash.is_not(None))
            .group_by(users.c.id, users.c.name, users.c.created_at)
            .order_by(users.c.name)
        )
        with self._read.begin() as connection:
            return [User(*row) for row in connection.execute(query)]

    def remove_user(self, name: str) -> None:
        """End the user's sessions and free the name. Submissions stay, without an owner who can log in.

        Raises:
            UnknownUserError: no such user.
        """
        with self._write.begin() as connection:
            user_id = connection.execute(
                select(users.c.id).where(users.c.name == name, users.c.password_hash.is_not(None)).with_for_update()
            ).scalar_one_or_none()
            if user_id is None:
                raise UnknownUserError
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            # The row stays, because submissions refer to it. `NAME` does not match this name, so nobody can choose it.
            removed = {"name": f"~{user_id}", "password_hash": None}
            connection.execute(update(users).where(users.c.id == user_id).values(**removed))

    def find_user(self, name: str) -> tuple[int, str] | None:
        """The user's id and password hash, or None if there is no such user."""
        if not NAME.fullmatch(name):
            return None
        with self._read.begin() as connection:
            row = connection.execute(
                select(users.c.id, users.c.password_hash).where(
                    users.c.name == name, users.c.password_hash.is_not(None)
                )
            ).one_or_none()
        return None if row is None else (row.id, row.password_hash)

    def replace_hash(self, user_id: int, old: str, new: str) -> None:
        """Store a new hash of the same password, unless the password was changed in the meantime."""
        with self._write.begin() as connection:
            connection.execute(
                update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
            )

    # -- sessions ------------------------------------------------------------------------------------

    def open_session(self, user_id: int) -> LoginSession:
        """Open a new session.

        Raises:
            UnknownUserError: the user was removed in the meantime.
        """
        session_id, token = secrets.token_hex(16), secrets.token_urlsafe(32)
        now = self._clock()
        with self._write.begin() as connection:
            name = connection.execute(
                select(users.c.name).where(users.c.id == user_id, users.c.password_hash.is_not(None)).with_for_update()
            ).scalar_one_or_none()
            if name is None:
                raise UnknownUserError
            expires = now + self._limits.refresh_token_s
            connection.execute(
                insert(sessions).values(id=session_id, user_id=user_id, created_at=now, expires_at=expires)
            )
            connection.execute(
                insert(refresh_tokens).values(hash=_hash(token), session_id=session_id, expires_at=expires)
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
                .where(refresh_tokens.c.hash == _hash(token))
                .with_for_update(of=(refresh_tokens, sessions))
            ).one_or_none()
            if row is None or row.expires_at <= now:
                raise InvalidRefreshTokenError
            if row.used_at is None:
                session = LoginSession(row.session_id, row.user_id, row.name, self._successor(token))
                self._use(connection, token, session, now)
                return session
            if now - row.used_at <= self._limits.refresh_grace_s:
                return LoginSession(row.session_id, row.user_id, row.name, self._successor(token))
            # Raise only after this block has committed the deletion.
            connection.execute(delete(sessions).where(sessions.c.id == row.session_id))
        raise ReusedRefreshTokenError(row.session_id, row.name)

    def _use(self, connection: Connection, token: str, session: LoginSession, now: float) -> None:
        expires = now + self._limits.refresh_token_s
        connection.execute(update(refresh_tokens).where(refresh_tokens.c.hash == _hash(token)).values(used_at=now))
        connection.execute(
            insert(refresh_tokens).values(hash=_hash(session.refresh_token), session_id=session.id, expires_at=expires)
        )
        connection.execute(update(sessions).where(sessions.c.id == session.id).values(expires_at=expires))

    def _successor(self, token: str) -> str:
        digest = hmac.digest(self._key, _SUCCESSOR + token.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def user_of(self, session_id: str, user_id: int) -> str | None:
        """The user's name if the session is open and belongs to the user, else None."""
        with self._read.begin() as connection:
            return connection.execute(
                select(users.c.name)
                .join_from(sessions, users)
                .where(sessions.c.id == session_id, users.c.id == user_id, sessions.c.expires_at > self._clock())
            ).scalar_one_or_none()

    def open_among(self, session_ids: Collection[str]) -> set[str]:
        """Those of these sessions that are open."""
        query = select(sessions.c.id).where(sessions.c.id.in_(session_ids), sessions.c.expires_at > self._clock())
        with self._read.begin() as connection:
            return set(connection.execute(query).scalars())

    def end_session(self, session_id: str) -> None:
        """End a session. Does nothing if it does not exist."""
        with self._write.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.id == session_id))

    def session_of(self, token: str) -> str | None:
        """The session that a refresh token belongs to, even if the token was already used; None if it is unknown."""
        with self._read.begin() as connection:
            return connection.execute(
                select(refresh_tokens.c.session_id).where(refresh_tokens.c.hash == _hash(token))
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
        with self._write.begin() as connection:
            connection.execute(delete(used_tokens).where(used_tokens.c.expires_at < now))
            connection.execute(delete(sessions).where(sessions.c.expires_at < now))
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.expires_at < now))
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.used_at < used_before))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
