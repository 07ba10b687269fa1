"""Who is asking. A server in demo mode and one with logins differ here, and nowhere else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.tokens import AccessClaims, TokenError, TokenIssuer, WatchClaims
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER


class UnauthenticatedError(Exception):
    """Nobody, or nobody known, is asking. `reason` in short English words (close code 4003)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who is asking. `access` is what the token said; None in demo mode."""

    user_id: int
    name: str
    access: AccessClaims | None

    @property
    def is_limited(self) -> bool:
        """Whether it is counted how often this user does something: there are others to be protected."""
        return self.access is not None

    @property
    def seconds_left(self) -> float | None:
        """How long the identity is good for; None for without end."""
        return None if self.access is None else max(0.0, self.access.expires - time.time())


class Identities(Protocol):
    """Finds out who is asking."""

    async def of_request(self, token: str | None) -> Identity:
        """Who sends a REST request with this bearer token.

        Raises:
            UnauthenticatedError: nobody who is known.
        """

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        """Who opens a socket on this submission.

        Raises:
            UnauthenticatedError: nobody who is known.
        """


class DemoIdentities:
    """Everybody is the demo user."""

    async def of_request(self, token: str | None) -> Identity:
        return _DEMO

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        return _DEMO


_DEMO = Identity(DEMO_USER, "demo", None)


class TokenIdentities:
    """A token says who it is, and the database whether the session is still open."""

    def __init__(self, store: Store, accounts: Accounts, tokens: TokenIssuer) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens

    async def of_request(self, token: str | None) -> Identity:
        try:
            return await self._identity(self._tokens.read_access(_given(token)))
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        try:
            said = self._tokens.read_any(_given(token))
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None
        if isinstance(said, AccessClaims):
            return await self._identity(said)
        if said.submission_id != submission_id:
            raise UnauthenticatedError("token invalid")
        return await self._once(said)

    async def _once(self, watch: WatchClaims) -> Identity:
        identity = await self._identity(watch.access)
        if not await self._store.run(self._accounts.consume, watch.id, watch.forget):
            raise UnauthenticatedError("token used")
        return identity

    async def _identity(self, access: AccessClaims) -> Identity:
        name = await self._store.run(self._accounts.user_of, access.session, access.user_id)
        if name is None:
            raise UnauthenticatedError("session ended")
        return Identity(access.user_id, name, access)


def _given(token: str | None) -> str:
    if not token:
        raise UnauthenticatedError("token missing")
    return token
