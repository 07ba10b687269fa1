"""The grants: a password or a refresh token for an access token and the next refresh token (RFC 6749)."""

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

_HASHES_AT_ONCE: Final = 2
"""Each takes the memory of `PasswordCost` and a processor."""


class GrantError(Exception):
    """No token is given. Carries OAuth's word (RFC 6749, section 5.2) and a sentence."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Granted:
    """What a client gets. `expires_in` in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class Logins:
    """Opens, continues and ends sessions."""

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
        self._threads = ThreadPoolExecutor(_HASHES_AT_ONCE, thread_name_prefix="argon2")

    def close(self) -> None:
        """Finish what was begun."""
        self._threads.shutdown()

    async def with_password(self, name: str, password: str, address: str) -> Granted:
        """A new session for a user. The work and the answer are the same whether name or password is wrong.

        Raises:
            GrantError: one of the two is wrong.
            LimitedError: too many were, for this account or from this address.
        """
        # Counted when it begins, so that many at once are not more than many in a row.
        counted = ((self._by_account, name.casefold()[:256]), (self._by_address, _network(address)))
        for number, (rate, key) in enumerate(counted):
            standing = await self._limiter.take(rate, key)
            if standing.retry_after:
                await self._give_back(counted[:number])
                seconds = standing.seconds_to_wait
                raise LimitedError(standing, f"Too many attempts to log in; try again in {seconds} s.")
        session = await self._check(name, password)
        await self._give_back(counted)
        return self._granted(session)

    async def _give_back(self, counted: Sequence[tuple[Rate, str]]) -> None:
        for rate, key in counted:
            await self._limiter.give_back(rate, key)

    async def _check(self, name: str, password: str) -> LoginSession:
        loop = asyncio.get_running_loop()
        found = await self._store.run(self._accounts.find_user, name)
        user_id, kept = found or (0, None)
        right = await loop.run_in_executor(self._threads, self._passwords.verify, password, kept)
        if not right or kept is None:
            raise GrantError("invalid_grant", "Wrong user or password.")
        if self._passwords.is_outdated(kept):
            new = await loop.run_in_executor(self._threads, self._passwords.hash, password)
            await self._store.run(self._accounts.replace_hash, user_id, kept, new)
        try:
            return await self._store.run(self._accounts.open_session, user_id)
        except UnknownUserError:
            raise GrantError("invalid_grant", "Wrong user or password.") from None

    async def with_refresh_token(self, token: str) -> Granted:
        """The session goes on.

        Raises:
            GrantError: the token is not, or no longer, good.
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
        """Log out with the refresh token alone, where the access token has expired."""
        await self._store.run(self._accounts.end_session_of, token)


def _network(address: str) -> str:
    """What counts as one address: in IPv6 everybody has a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
