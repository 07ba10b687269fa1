"""Authenticators: which token to send, and how to get another one (contract, section 5).

::

    GivenToken     a token from a variable; cannot be renewed
    SessionLogin   a login of this process; renewed silently with its refresh token, once for all watches
    StoredLogin    a recorded login; renewed likewise, and safely alongside other processes
    Prompting      wraps one of these; asks the person at the terminal, once
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

import httpx

from subcli.client.background import run_in_daemon_thread
from subcli.client.body import decode_json
from subcli.client.network import error_detail
from subcli.client.records import Credentials, Place, Tokens
from subcli.core.errors import CredentialError
from subcli.core.inputs import Refreshed
from subcli.shared import opaque_token
from subcli.shared.secret import Secret, is_token, redact

RENEWAL_DELAYS_S: Final = (0.0, 1.0, 2.0, 4.0)
"""Delays before each attempt to renew a login with a server that does not answer."""

MAX_TOKENS_BYTES: Final = 64 * 1024
"""The largest response with tokens that is read."""

_log = logging.getLogger("subcli.auth")


class Authenticator(Protocol):
    """Supplies the token to send, and tries to get a new one when it is refused."""

    def token(self) -> Secret | None:
        """The token to send now, if there is one."""
        ...

    async def refresh(self, refused: Secret | None) -> Refreshed:
        """Authenticate again. Shared by all watches of the process.

        Args:
            refused: the token that the server did not accept, or ``None`` if none was sent.
        """
        ...


class GivenToken:
    """A token from a variable or a file, or no token. It cannot be renewed.

    Args:
        token: the token.
        origin: where it came from, for the hint.
        server: for the hint.
        withheld: the origin of a token that must not be sent to this server.
    """

    def __init__(self, token: Secret | None, origin: str = "", server: str = "", withheld: str = "") -> None:
        self._token = token
        self._origin = origin
        self._server = server
        self._withheld = withheld

    def token(self) -> Secret | None:
        """The token given."""
        return self._token

    async def refresh(self, refused: Secret | None) -> Refreshed:
        """Always fails, with a hint."""
        if self._token:
            return Refreshed(False, f"The token from {self._origin} is not accepted: {_another(self._token)}.")
        if self._withheld:
            return Refreshed(False, withheld_hint(self._withheld, self._server))
        return Refreshed(False, login_hint(self._server))


Grant: TypeAlias = Callable[[Secret], Awaitable[Tokens | None]]
"""Exchanges a refresh token for the next pair; ``None`` if it is refused."""


class SessionLogin:
    """A login that lives as long as this process.

    Args:
        tokens: the pair to begin with.
        grant: gets the next one.
        server: for the hint.
    """

    def __init__(self, tokens: Tokens, grant: Grant, server: str) -> None:
        self._tokens = tokens
        self._grant = grant
        self._server = server
        self._one_at_a_time = asyncio.Lock()

    def token(self) -> Secret | None:
        """The access token."""
        return self._tokens.access

    async def refresh(self, refused: Secret | None) -> Refreshed:
        """Get the next pair of tokens, once for all watches whose token was refused."""
        async with self._one_at_a_time:
            if self._tokens.access != refused:
                return Refreshed(True, renewed=False)
            try:
                return await self._renew() or Refreshed(False, self._hint())
            except CredentialError as error:
                return Refreshed(False, f"{error.message} {error.hint}")

    def _hint(self) -> str:
        access = self._tokens.access
        if opaque_token.is_ours(access.reveal()):
            return f"The stored token is not accepted: {_another(access)}, or log in with a password."
        return login_hint(self._server)

    async def _renew(self) -> Refreshed | None:
        """Get the next pair; ``None`` if there is none to be had."""
        tokens = await self._grant(self._tokens.refresh) if self._tokens.refresh is not None else None
        if tokens is None:
            return None
        self._tokens = tokens
        return Refreshed(True)


class StoredLogin(SessionLogin):
    """A recorded login, which other processes may renew as well.

    Args:
        credentials: where it is stored.
        server: its URL.
        tokens: as loaded.
        grant: gets the next pair.
    """

    def __init__(self, credentials: Credentials, server: str, tokens: Tokens, grant: Grant) -> None:
        super().__init__(tokens, grant, server)
        self._credentials = credentials
        self._is_kept = True

    async def _renew(self) -> Refreshed | None:
        """Get the next pair: from another process that was faster, or from the server."""
        if not self._is_kept:
            return await super()._renew()
        async with self._credentials.locked():
            stored = await self._load()
            if adopted := self._adopt(stored):
                return adopted
            login = self._credentials.login(self._server)
            if stored is None or login is None:
                return None
            renewed = await super()._renew()
            if renewed is None:
                # Another process may have used the same refresh token despite the lock.
                return self._adopt(await self._load())
            if self._credentials.login(self._server) is None:
                # Logged out meanwhile: this process continues, and nothing is stored.
                self._is_kept = False
                return renewed
            try:
                await run_in_daemon_thread(self._credentials.save, self._server, login.user, self._tokens, login.place)
            except CredentialError as error:
                # This process continues; the next one will have to log in, so say why now.
                self._is_kept = False
                _log.warning("The renewed login could not be stored: %s %s", error.message, error.hint)
            return renewed

    async def _load(self) -> Tokens | None:
        return await run_in_daemon_thread(self._credentials.load, self._server)

    def _adopt(self, stored: Tokens | None) -> Refreshed | None:
        """Use the pair that another process has renewed, if there is one."""
        if stored is None or stored.access == self._tokens.access:
            return None
        self._tokens = stored
        return Refreshed(True, renewed=False)


class Prompting:
    """Asks the person at the terminal if renewing silently fails; once per process.

    Args:
        inner: tried first.
        ask: asks, logs in and returns the new login, or ``None`` if the person declined.
        server: for the hint.
    """

    def __init__(self, inner: Authenticator, ask: Callable[[], Awaitable[Authenticator | None]], server: str) -> None:
        self._inner = inner
        self._ask = ask
        self._server = server
        self._asked = False
        self._one_at_a_time = asyncio.Lock()

    def token(self) -> Secret | None:
        """The token of the new login, or of the inner authenticator."""
        return self._inner.token()

    async def refresh(self, refused: Secret | None) -> Refreshed:
        """Renew silently if possible, else ask."""
        async with self._one_at_a_time:
            silent = await self._inner.refresh(refused)
            if silent.ok or self._asked:
                return silent
            self._asked = True
            login = await self._ask()
            if login is None:
                return Refreshed(False, login_hint(self._server))
            self._inner = login
            return Refreshed(True)


def _another(token: Secret) -> str:
    """What to do about a token that is not accepted and cannot be renewed."""
    if token.reveal().startswith(opaque_token.ACCESS):
        return "set another one, from `subcli auth token create`"
    return "set a valid one"


def withheld_hint(origin: str, server: str) -> str:
    """Why the token of a variable was not sent (contract, section 2), and how to allow it."""
    return f"{origin} is sent only to a server that you name: `--server {server}`, or SUBCLI_SERVER."


def login_hint(server: str) -> str:
    """The command to log in with."""
    return f"Log in: `subcli auth login --server {server}`." if server else "Log in: `subcli auth login`."


# -- requesting tokens --------------------------------------------------------------------------------


class TokenRefusedError(Exception):
    """The server did not issue tokens. ``status`` is the HTTP status, ``reason`` the server's message."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


async def request_tokens(http: httpx.AsyncClient, api_url: str, form: dict[str, Any]) -> Tokens:
    """Request tokens (RFC 6749 sections 4.3 and 6).

    Args:
        http: the client to send with.
        api_url: base of the REST half.
        form: ``grant_type`` and the fields of that grant.

    Raises:
        TokenRefusedError: the server did not issue any.
        httpx.HTTPError: it did not answer.
    """
    response = await http.post(f"{api_url}/auth/token", data=form)
    body = decode_json(response.content) if len(response.content) <= MAX_TOKENS_BYTES else None
    if not isinstance(body, dict):
        body = {}
    if not response.is_success:
        # A server may echo the request; FastAPI does, in its list of errors.
        sent = [Secret(form[name]) for name in ("password", "refresh_token") if form.get(name)]
        reason = redact(error_detail(body) or f"HTTP {response.status_code}", *sent)
        raise TokenRefusedError(response.status_code, reason)
    access, refresh = body.get("access_token"), body.get("refresh_token")
    if not (isinstance(access, str) and is_token(access)):
        raise TokenRefusedError(response.status_code, "the response has no token")
    return Tokens(Secret(access), Secret(refresh) if isinstance(refresh, str) else None)


async def refresh_grant(http: httpx.AsyncClient, api_url: str, refresh: Secret) -> Tokens | None:
    """The next pair for a refresh token; ``None`` if it is refused, or the server does not answer for a while."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}
    for delay in RENEWAL_DELAYS_S:
        await asyncio.sleep(delay)
        try:
            tokens = await request_tokens(http, api_url, form)
        except TokenRefusedError as refused:
            if refused.status < 500 and refused.status != 429:
                return None
        except httpx.HTTPError:
            continue
        else:
            # A server that does not rotate sends no new one: the old one stays valid (RFC 6749 section 6).
            return tokens if tokens.refresh else Tokens(tokens.access, refresh)
    return None


async def password_grant(http: httpx.AsyncClient, api_url: str, user: str, password: Secret) -> Tokens:
    """The first pair for a user name and password; raises as :func:`request_tokens` does."""
    form = {"grant_type": "password", "username": user, "password": password.reveal()}
    return await request_tokens(http, api_url, form)


def place_for(insecure_storage: bool) -> Place:
    """Where to store a login."""
    return "file" if insecure_storage else "keyring"
