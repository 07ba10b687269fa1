"""OAuth grants: a password or a refresh token for an access token and a new refresh token (RFC 6749)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from sqlalchemy.exc import SQLAlchemyError

from subcli.server.accounts.accounts import (
    Accounts,
    InvalidRefreshTokenError,
    LoginSession,
    ReusedRefreshTokenError,
)
from subcli.server.accounts.hashing import BusyError, HashingTurns
from subcli.server.accounts.identity import Identity
from subcli.server.accounts.names import name_key
from subcli.server.accounts.networks import network_of, site_of
from subcli.server.accounts.passwords import Passwords, check
from subcli.server.accounts.tokens import TokenIssuer
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import Account
from subcli.server.limits import LimitedError, Limiter, Rate
from subcli.server.log.store import Store
from subcli.server.observe import audit
from subcli.server.settings import ServerLimits

_log: Final = logging.getLogger(__name__)


_RECORDED: Final = Rate("audit", 20, 60.0)
"""How many refusals for limits the audit log records per network."""


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


def _wrong() -> GrantError:
    return GrantError("invalid_grant", "Wrong user or password.")


@dataclass(frozen=True, slots=True)
class Granted:
    """The tokens that a client receives. `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    user_id: int
    session: str


class Logins:
    """Opens, refreshes and ends sessions.

    Attributes:
        hashing: the turns in which passwords are checked.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        tokens: TokenIssuer,
        passwords: Passwords,
        limiter: Limiter,
        limits: ServerLimits,
        is_judging: Callable[[], bool],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._passwords = passwords
        self._lifetime = limits.access_token_s
        self._limiter = limiter
        self._delay_s = limits.login_delay_s
        self._by_pair = Rate("logins", limits.logins, limits.login_window_s)
        self._by_device = Rate("logins-device", limits.logins, limits.login_window_s)
        self._by_network = Rate("logins-address", limits.logins_address, limits.login_window_s)
        self._by_site = Rate("logins-site", limits.logins_site, limits.login_window_s)
        self._by_account = Rate("logins-account", limits.logins_account, limits.login_window_s)
        self._refreshes = Rate("refreshes", limits.refreshes, limits.refresh_window_s)
        self._guesses = Rate("guesses-address", limits.guesses, limits.login_window_s)
        self._guesses_of_site = Rate("guesses-site", limits.guesses_site, limits.login_window_s)
        self._cleanup_s = limits.cleanup_s
        self.hashing = HashingTurns(limits.hashes, limits.hash_queue, is_judging)

    def close(self) -> None:
        """Wait for running hashes, then stop the threads."""
        self.hashing.close()

    async def with_password(self, name: str, password: str, address: str, device: str | None = None) -> Granted:
        """Open a session for a user.

        The response, and the time it takes, do not reveal whether the name or the password was wrong. Failed attempts
        lock the pair of account and network, and the network; failures on the account from anywhere only slow it down,
        because otherwise anybody could lock anybody out. A device that has logged in to this account before has its own
        attempts.

        Args:
            address: of the client.
            device: the device token of an earlier login, if the client has one.

        Raises:
            GrantError: the name or the password is wrong.
            LimitedError: too many failed attempts.
            BusyError: too many logins wait for their turn.
        """
        found = await self._store.run(self._accounts.users.find, name)
        user = None if found is None else found.name
        try:
            session = await self._with_password(name, password, address, None if found is None else found.id, device)
        except GrantError as error:
            audit.record("login", "refused", user=user, client=address, reason=error.error)
            raise
        except (LimitedError, BusyError) as error:
            await self._record_limited("login", user, address, error)
            raise
        audit.record("login", "granted", user=user, client=address, session=session.id)
        return self._granted(session)

    async def _with_password(
        self, name: str, password: str, address: str, user_id: int | None, device: str | None
    ) -> LoginSession:
        known = self._tokens.read_device(device, user_id)
        account = name_key(name[:256])
        network, site = network_of(address), site_of(address)
        # The owner of a /56 could otherwise be served 256 times as often as others.
        crowd = site or network
        if known is not None:
            return await self._in_turn(name, password, crowd, [(self._by_device, known)])
        keys = [(self._by_pair, f"{account} {network}"), (self._by_network, network)]
        if site is not None:
            keys.append((self._by_site, site))
        status = await self._limiter.take(self._by_account, account)
        if status.retry_after:
            await asyncio.sleep(self._delay_s)
            return await self._in_turn(name, password, crowd, keys)
        try:
            session = await self._in_turn(name, password, crowd, keys)
        except (LimitedError, BusyError):
            await self._limiter.give_back(self._by_account, account)
            raise
        await self._limiter.give_back(self._by_account, account)
        return session

    async def _record_limited(self, what: str, user: str | None, address: str, error: LimitedError | BusyError) -> None:
        """These cost an attacker nothing, so a flood of them must not fill the log."""
        status = await self._limiter.take(_RECORDED, network_of(address))
        if not status.retry_after:
            reason = error.status.rate.name if isinstance(error, LimitedError) else "busy"
            audit.record(what, "refused", user=user, client=address, reason=reason)

    async def _in_turn(self, name: str, password: str, crowd: str, keys: Sequence[tuple[Rate, str]]) -> LoginSession:
        async with self.hashing.turn(crowd):
            # Count before checking, so that parallel attempts cannot exceed the limit. Success gives the count back.
            # Counted only now, when it is this attempt's turn, so that a crowd that logs in at once counts as failures
            # only what is being checked.
            await self._count(keys, "Too many login attempts")
            session = await self._check(name, password)
            await self._give_back(keys)
        return session

    async def _give_back(self, counted: Sequence[tuple[Rate, str]]) -> None:
        for rate, key in counted:
            await self._limiter.give_back(rate, key)

    async def _check(self, name: str, password: str) -> LoginSession:
        # Twice, because a login at the same moment may have replaced an outdated hash.
        for _ in range(2):
            account = await self._verify(name, password)
            with suppress(UnknownUserError):
                return await self._store.run(self._accounts.open_session, account.id, account.password_hash)
        raise _wrong()

    async def _verify(self, name: str, password: str) -> Account:
        """The account whose password this is. Only call this in your turn to hash.

        Raises:
            GrantError: the name or the password is wrong, or the account is disabled.
        """
        found = await self._store.run(self._accounts.users.find, name)
        password_hash = None if found is None else found.password_hash
        is_correct = await self.hashing.run(self._passwords.verify, password, password_hash)
        if not is_correct or found is None:
            raise _wrong()
        if found.is_disabled:
            # Only somebody who knows the password is told.
            raise GrantError("invalid_grant", "This account is disabled; ask whoever runs the server.")
        if not self._passwords.is_outdated(found.password_hash):
            return found
        new = await self.hashing.run(self._passwords.hash, password)
        await self._store.run(self._accounts.users.replace_hash, found.id, found.password_hash, new)
        return replace(found, password_hash=new)

    def device(self, granted: Granted) -> tuple[str, int]:
        """A token that identifies this browser at later logins, and its lifetime in seconds."""
        return self._tokens.device(granted.user_id)

    def page_token(self, granted: Granted) -> str:
        """A token that keeps a browser logged in to the pages."""
        return self._tokens.page(granted.user_id, granted.session)

    async def with_refresh_token(self, token: str, address: str) -> Granted:
        """Refresh a session.

        Raises:
            GrantError: the refresh token is not valid, or no longer.
            LimitedError: too many refreshes of this session, or too many tokens from this address that are not valid.
        """
        try:
            session = await self._with_refresh_token(token, address)
        except LimitedError as error:
            await self._record_limited("refresh", None, address, error)
            raise
        except InvalidRefreshTokenError as error:
            if isinstance(error, ReusedRefreshTokenError):
                audit.record("refresh", "reused", user=error.user, client=address, session=error.session)
            else:
                audit.record("refresh", "refused", client=address, reason="invalid_grant")
            raise GrantError("invalid_grant", "The login has expired or ended; log in again.") from None
        audit.record("refresh", "granted", user=session.user, client=address, session=session.id)
        return self._granted(session)

    async def _with_refresh_token(self, token: str, address: str) -> LoginSession:
        keys = await self._count_guess(address)
        known = await self._store.run(self._accounts.session_of, token)
        if known is None:
            # To look for it once more in a transaction that writes would keep events from being written.
            raise InvalidRefreshTokenError
        status = await self._limiter.take(self._refreshes, known)
        if status.retry_after:
            await self._give_back(keys)
            raise LimitedError(status, f"Too many refreshes; try again in {status.seconds_to_wait} s.")
        session = await self._store.run(self._accounts.rotate, token)
        await self._give_back(keys)
        return session

    async def _count_guess(self, address: str) -> Sequence[tuple[Rate, str]]:
        """Count a refresh token as invalid until it is known to be valid."""
        keys, site = [(self._guesses, network_of(address))], site_of(address)
        if site is not None:
            keys.append((self._guesses_of_site, site))
        await self._count(keys, "Too many refresh tokens that are not valid")
        return keys

    async def _count(self, keys: Sequence[tuple[Rate, str]], complaint: str) -> None:
        for number, (rate, key) in enumerate(keys):
            status = await self._limiter.take(rate, key)
            if status.retry_after:
                await self._give_back(keys[:number])
                raise LimitedError(status, f"{complaint}; try again in {status.seconds_to_wait} s.")

    def _granted(self, session: LoginSession) -> Granted:
        access_token = self._tokens.access(session.user_id, session.id)
        return Granted(access_token, session.refresh_token, self._lifetime, session.user_id, session.id)

    async def change_password(self, identity: Identity, old: str, new: str, address: str) -> None:
        """Give a user another password, and end the user's other sessions. Wrong old passwords count as failed logins.

        Raises:
            GrantError: the old password is wrong.
            PasswordError: the new one cannot be used.
            LimitedError: too many failed attempts.
            BusyError: too many logins wait for their turn.
        """
        check(new)
        session = "" if identity.access is None else identity.access.session
        keys = [(self._by_pair, f"{name_key(identity.name)} {network_of(address)}")]
        try:
            async with self.hashing.turn(site_of(address) or network_of(address)):
                await self._count(keys, "Too many attempts")
                account = await self._verify(identity.name, old)
                await self._give_back(keys)
                hashed = await self.hashing.run(self._passwords.hash, new)
                users = self._accounts.users
                if not await self._store.run(users.change_password, account.id, account.password_hash, hashed, session):
                    raise _wrong()
        except (GrantError, LimitedError, BusyError) as error:
            reason = error.error if isinstance(error, GrantError) else "limited"
            audit.record("password changed", "refused", user=identity.name, client=address, reason=reason)
            if isinstance(error, GrantError):
                raise GrantError(error.error, "The old password is wrong.") from None
            raise
        audit.record("password changed", "done", user=identity.name, client=address, session=session)

    async def end(self, session_id: str, user: str | None, address: str) -> None:
        """Log out. The last two are for the audit log."""
        await self._store.run(self._accounts.end_session, session_id)
        audit.record("logout", "done", user=user, client=address, session=session_id)

    async def end_with_refresh_token(self, token: str, address: str) -> None:
        """Log out with only the refresh token, for when the access token has expired.

        Raises:
            LimitedError: too many tokens from this address that are not valid.
        """
        keys = await self._count_guess(address)
        session = await self._store.run(self._accounts.session_of, token)
        if session is not None:
            await self.end(session, None, address)
            await self._give_back(keys)

    async def run(self) -> NoReturn:
        """Delete expired sessions and tokens now and then, until cancelled."""
        while True:
            try:
                await self._store.run(self._accounts.delete_expired)
            except SQLAlchemyError as error:
                _log.warning("expired sessions cannot be deleted: %s", getattr(error, "orig", error))
            await asyncio.sleep(self._cleanup_s)
