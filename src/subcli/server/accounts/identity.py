"""Who sends a request. Servers in demo mode and servers with logins differ only here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

from subcli.server.accounts import permissions
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.holders import Holder, hash_of
from subcli.server.accounts.permissions import Action, Credential, Role
from subcli.server.accounts.revocation import OpenSessions
from subcli.server.accounts.tokens import AccessClaims, TokenError, TokenIssuer, WatchClaims
from subcli.server.log.records import UnknownSubmissionError
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.settings import ServerLimits
from subcli.shared import opaque_token

_MANY_TOKENS: Final = 4096
"""This many opaque tokens are remembered."""


class UnauthenticatedError(Exception):
    """The request has no valid credentials. `reason` says why in a few words (close code 4003)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request.

    Attributes:
        holder: the user, and what the request's credential allows.
        access: claims of the access token; None in demo mode.
    """

    holder: Holder
    access: AccessClaims | None

    @property
    def user_id(self) -> int:
        """Of the user, or of the owner of the submission that a link shows."""
        return self.holder.user_id

    @property
    def name(self) -> str:
        """Of the user, or of the link."""
        return self.holder.name

    @property
    def is_limited(self) -> bool:
        """Whether rate limits apply to this user. In demo mode there are no other users to protect."""
        return self.access is not None

    @property
    def limit_key(self) -> str:
        """Whose rate limits apply: those who follow a link do not use up its owner's."""
        is_link = self.holder.credential is Credential.LINK
        return self.access.session if is_link and self.access is not None else str(self.user_id)

    def may(self, action: Action) -> bool:
        """Whether this is allowed."""
        return permissions.may(self.holder.role, self.holder.credential, action)

    def owner_of_visible(self, submission_id: int) -> int | None:
        """Whose this submission must be, so that it can be seen: the owner's id, or None for anybody's.

        Raises:
            UnknownSubmissionError: it cannot be seen, whosever it is.
        """
        if self.holder.submission_id not in (None, submission_id):
            raise UnknownSubmissionError
        return None if self.may(Action.READ_ANY) else self.user_id


class Identities(Protocol):
    """Authenticates requests and sockets."""

    async def of_request(self, authorization: Sequence[str], page_token: str | None = None) -> Identity:
        """The sender of a request.

        Args:
            authorization: the values of `Authorization`.
            page_token: of the cookie that keeps a browser logged in; it counts if there is no `Authorization`.

        Raises:
            UnauthenticatedError: the token is missing or not valid, or there are two.
        """

    def counts_as(self, token: str) -> str | None:
        """Whose requests those with this token count as, if that is known without asking the database.

        It may have been revoked since.
        """

    def seconds_left(self, identity: Identity) -> float | None:
        """Seconds until the identity expires; None if it does not."""

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        """While the context is open, `ended` is called soon after the identity has ended before it expired."""

    async def run(self) -> None:
        """Do periodic work until cancelled."""

    async def of_socket(self, token: str | None, submission_id: int, page_token: str | None = None) -> Identity:
        """The client that opens a socket on this submission.

        Args:
            token: of the URL or of `Authorization`.
            page_token: of the cookie of a page of this server; it counts if there is no other token.

        Raises:
            UnauthenticatedError: the token is missing or not valid for this socket.
        """


class DemoIdentities:
    """Treats every client as the demo user."""

    async def of_request(self, authorization: Sequence[str], page_token: str | None = None) -> Identity:
        return _DEMO

    async def of_socket(self, token: str | None, submission_id: int, page_token: str | None = None) -> Identity:
        return _DEMO

    def counts_as(self, token: str) -> str | None:
        return None

    def seconds_left(self, identity: Identity) -> float | None:
        return None

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()

    async def run(self) -> None:
        await asyncio.Event().wait()


_DEMO = Identity(Holder(DEMO_USER, "demo", Role.STUDENT), None)


class TokenIdentities:
    """Reads the user from the token, and checks in the database that it is still valid."""

    def __init__(self, store: Store, accounts: Accounts, tokens: TokenIssuer, limits: ServerLimits) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._sessions = OpenSessions(store, accounts, limits.session_check_s)
        self._verified: dict[str, str] = {}
        """By the hashes of opaque tokens that were valid, whose they are."""

    async def run(self) -> None:
        await self._sessions.run()

    async def of_request(self, authorization: Sequence[str], page_token: str | None = None) -> Identity:
        try:
            if page_token is not None and not authorization:
                return await self._identity(self._tokens.read_page(page_token))
            token = _required(bearer_token(authorization))
            return await self._opaque(token) or await self._identity(self._tokens.read_access(token))
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None

    async def of_socket(self, token: str | None, submission_id: int, page_token: str | None = None) -> Identity:
        try:
            if page_token is not None and token is None:
                return await self._identity(self._tokens.read_page(page_token))
            token = _required(token)
            if (identity := await self._opaque(token)) is not None:
                return identity
            claims = self._tokens.read_any(token)
        except TokenError as error:
            raise UnauthenticatedError(error.reason) from None
        if isinstance(claims, AccessClaims):
            return await self._identity(claims)
        if claims.submission_id != submission_id:
            raise UnauthenticatedError("token invalid")
        return await self._consume(claims)

    async def _opaque(self, token: str) -> Identity | None:
        """The sender, if the token is an access token for machines or the token of a link.

        Raises:
            TokenError: it is, but it is not valid.
        """
        if token.startswith(opaque_token.ACCESS):
            access, holder = await self._store.run(self._accounts.machine_tokens.verify, token)
        elif token.startswith(opaque_token.LINK):
            access, holder = await self._store.run(self._accounts.links.verify, token)
        else:
            return None
        identity = Identity(holder, access)
        self._verified[hash_of(token)] = identity.limit_key
        if len(self._verified) > _MANY_TOKENS:
            del self._verified[next(iter(self._verified))]
        return identity

    def counts_as(self, token: str) -> str | None:
        if opaque_token.is_ours(token):
            return self._verified.get(hash_of(token))
        user_id = self._tokens.user_of(token)
        return None if user_id is None else str(user_id)

    def seconds_left(self, identity: Identity) -> float | None:
        return None if identity.access is None else self._tokens.seconds_left(identity.access)

    def watched(self, identity: Identity, ended: Callable[[], object]) -> AbstractContextManager[None]:
        session = "" if identity.access is None else identity.access.session
        return self._sessions.watched(session, ended, identity.holder.role)

    async def _consume(self, watch: WatchClaims) -> Identity:
        identity = await self._identity(watch.access)
        if not await self._store.run(self._accounts.consume, watch.id, watch.expires):
            raise UnauthenticatedError("token used")
        return identity

    async def _identity(self, access: AccessClaims) -> Identity:
        holder = await self._store.run(self._accounts.holder, access.session, access.user_id)
        if holder is None:
            raise UnauthenticatedError("session ended")
        return Identity(holder, access)


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
