"""OAuth grants: a password or a refresh token for an access token and a new refresh token (RFC 6749)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from subcli.server.accounts.accounts import Accounts, InvalidRefreshTokenError, LoginSession, UnknownUserError
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.tokens import TokenIssuer
from subcli.server.limits import LimitedError, Limiter, Rate
from subcli.server.log.store import Store
from subcli.server.settings import ServerLimits

_MAX_CONCURRENT_HASHES: Final = 2
"""Each hash takes one processor and the memory given by `PasswordCost`."""


class GrantError(Exception):
    """The grant was refused.

    Attributes:
        error: OAuth's error code (RFC 6749, section 5.2).
        detail: a sentence for people.
    """

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Granted:
    """The tokens that a client receives. `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class Logins:
    """Opens, refreshes and ends sessions."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        tokens: TokenIssuer,
        passwords: Passwords,
        limiter: Limiter,
        limits: ServerLimits,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._passwords = passwords
        self._lifetime = limits.access_token
        self._limiter = limiter
        self._by_account = Rate("logins", limits.logins, limits.login_window)
        self._by_address = Rate("logins-address", limits.logins_address, limits.login_window)
        self._threads = ThreadPoolExecutor(_MAX_CONCURRENT_HASHES, thread_name_prefix="argon2")

    def close(self) -> None:
        """Wait for running hashes, then stop the threads."""
        self._threads.shutdown()

    async def with_password(self, name: str, password: str, address: str) -> Granted:
        """Open a session for a user.

        The response, and the time it takes, do not reveal whether the name or the password was wrong.

        Raises:
            GrantError: the name or the password is wrong.
            LimitedError: too many failed attempts on this account or from this address.
        """
        # Count before checking, so that parallel attempts cannot exceed the limit. Success gives the count back.
        counted = ((self._by_account, name.casefold()[:256]), (self._by_address, _network(address)))
        for number, (rate, key) in enumerate(counted):
            status = await self._limiter.take(rate, key)
            if status.retry_after:
                await self._give_back(counted[:number])
                raise LimitedError(status, f"Too many login attempts; try again in {status.seconds_to_wait} s.")
        session = await self._check(name, password)
        await self._give_back(counted)
        return self._granted(session)

    async def _give_back(self, counted: Sequence[tuple[Rate, str]]) -> None:
        for rate, key in counted:
            await self._limiter.give_back(rate, key)

    async def _check(self, name: str, password: str) -> LoginSession:
        loop = asyncio.get_running_loop()
        found = await self._store.run(self._accounts.find_user, name)
        user_id, password_hash = found or (0, None)
        is_correct = await loop.run_in_executor(self._threads, self._passwords.verify, password, password_hash)
        if not is_correct or password_hash is None:
            raise GrantError("invalid_grant", "Wrong user or password.")
        if self._passwords.is_outdated(password_hash):
            new = await loop.run_in_executor(self._threads, self._passwords.hash, password)
            await self._store.run(self._accounts.replace_hash, user_id, password_hash, new)
        try:
            return await self._store.run(self._accounts.open_session, user_id)
        except UnknownUserError:
            raise GrantError("invalid_grant", "Wrong user or password.") from None

    async def with_refresh_token(self, token: str) -> Granted:
        """Refresh a session.

        Raises:
            GrantError: the refresh token is not valid, or no longer.
        """
        try:
            return self._granted(await self._store.run(self._accounts.rotate, token))
        except InvalidRefreshTokenError:
            raise GrantError("invalid_grant", "The login has expired or ended; log in again.") from None

    def _granted(self, session: LoginSession) -> Granted:
        access_token = self._tokens.access(session.user_id, session.id)
        return Granted(access_token, session.refresh_token, self._lifetime)

    async def end(self, session_id: str) -> None:
        """Log out."""
        await self._store.run(self._accounts.end_session, session_id)

    async def end_with_refresh_token(self, token: str) -> None:
        """Log out with only the refresh token, for when the access token has expired."""
        await self._store.run(self._accounts.end_session_of, token)


def _network(address: str) -> str:
    """The unit that is rate limited: an IPv4 address, or an IPv6 /64, which usually belongs to one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
