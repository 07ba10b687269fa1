"""Who sends a request. Servers in demo mode and servers with logins differ only here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.revocation import OpenSessions
from subcli.server.accounts.tokens import AccessClaims, TokenError, TokenIssuer, WatchClaims
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.settings import ServerLimits


class UnauthenticatedError(Exception):
    """The request has no valid credentials. `reason` says why in a few words (close code 4003)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """The user who sends a request.

    Attributes:
        access: claims of the access token; None in demo mode.
    """

    user_id: int
    name: str
    access: AccessClaims | None

    @property
    def is_limited(self) -> bool:
        """Whether rate limits apply to this user. In demo mode there are no other users to protect."""
        return self.access is not None


class Identities(Protocol):
    """Authenticates requests and sockets."""

    async def of_request(self, authorization: Sequence[str]) -> Identity:
        """The sender of a REST request with these values of `Authorization`.

        Raises:
            UnauthenticatedError: the bearer token is missing or not valid, or there are two.
        """

    def seconds_left(self, identity: Identity) -> float | None:
        """Seconds until the identity expires; None if it does not."""

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        """While the context is open, `ended` is called soon after the identity has ended before it expired."""

    async def run(self) -> None:
        """Do periodic work until cancelled."""

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        """The client that opens a socket on this submission.

        Raises:
            UnauthenticatedError: the token is missing or not valid for this socket.
        """


class DemoIdentities:
    """Treats every client as the demo user."""

    async def of_request(self, authorization: Sequence[str]) -> Identity:
        return _DEMO

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        return _DEMO

    def seconds_left(self, identity: Identity) -> float | None:
        return None

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()

    async def run(self) -> None:
        await asyncio.Event().wait()


_DEMO = Identity(DEMO_USER, "demo", None)


class TokenIdentities:
    """Reads the user from the token, and checks in the database that the session is still open."""

    def __init__(self, store: Store, accounts: Accounts, tokens: TokenIssuer, limits: ServerLimits) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._sessions = OpenSessions(store, accounts, limits.session_check_s)

    async def run(self) -> None:
        await self._sessions.run()

    async def of_request(self, authorization: Sequence[str]) -> Identity:
        try:
            return await self._identity(self._tokens.read_access(_required(bearer_token(authorization))))
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None

    async def of_socket(self, token: str | None, submission_id: int) -> Identity:
        try:
            claims = self._tokens.read_any(_required(token))
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None
        if isinstance(claims, AccessClaims):
            return await self._identity(claims)
        if claims.submission_id != submission_id:
            raise UnauthenticatedError("token invalid")
        return await self._consume(claims)

    def seconds_left(self, identity: Identity) -> float | None:
        return None if identity.access is None else self._tokens.seconds_left(identity.access)

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        return self._sessions.watched("" if identity.access is None else identity.access.session, ended)

    async def _consume(self, watch: WatchClaims) -> Identity:
        identity = await self._identity(watch.access)
        if not await self._store.run(self._accounts.consume, watch.id, watch.expires):
            raise UnauthenticatedError("token used")
        return identity

    async def _identity(self, access: AccessClaims) -> Identity:
        name = await self._store.run(self._accounts.user_of, access.session, access.user_id)
        if name is None:
            raise UnauthenticatedError("session ended")
        return Identity(access.user_id, name, access)


def bearer_token(authorization: Sequence[str]) -> str | None:
    """The token in the values of `Authorization`; None if there is no bearer token.

    Raises:
        UnauthenticatedError: there are two. A proxy may have checked one of them while this server uses the other.
    """
    if len(authorization) > 1:
        raise UnauthenticatedError("two Authorization headers")
    kind, _, token = "".join(authorization).partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _required(token: str | None) -> str:
    if not token:
        raise UnauthenticatedError("token missing")
    return token
