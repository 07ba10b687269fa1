"""Grants and login limits without a server; the test controls time and addresses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from subcli.server.accounts.accounts import Accounts, LoginSession, ReusedRefreshTokenError
from subcli.server.accounts.hashing import BusyError
from subcli.server.accounts.holders import Holder
from subcli.server.accounts.identity import (
    DemoIdentities,
    Identity,
    TokenIdentities,
    UnauthenticatedError,
    bearer_token,
)
from subcli.server.accounts.logins import GrantError, Logins
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.tokens import AccessClaims, TokenError, TokenIssuer, WatchClaims
from subcli.server.limits import LimitedError, MemoryLimiter
from subcli.server.log.store import Store
from subcli.server.settings import PasswordCost, ServerLimits
from tests.hang import HANG_S
from tests.server.clock import Clock
from tests.server.conftest import CHEAP, KEY, PASSWORD

LIMITS = ServerLimits(
    logins=3,
    logins_address=5,
    logins_site=8,
    logins_account=4,
    login_delay_s=0.001,
    login_window_s=60.0,
    refreshes=3,
    guesses=4,
    guesses_site=6,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    accounts = Accounts(engine, clock, LIMITS, KEY)
    accounts.users.add("ada", Passwords(CHEAP).hash(PASSWORD))
    return accounts


@pytest.fixture
def tokens(clock: Clock) -> TokenIssuer:
    return TokenIssuer(KEY, LIMITS, clock)


@pytest.fixture
def logins(store: Store, accounts: Accounts, tokens: TokenIssuer, clock: Clock) -> Iterator[Logins]:
    logins = Logins(store, accounts, tokens, Passwords(CHEAP), MemoryLimiter(clock), LIMITS, lambda: False)
    yield logins
    logins.close()


async def attempt(
    logins: Logins, name: str, address: str, password: str = "wrong password", device: str | None = None
) -> str:
    """Log in. Returns "granted", "wrong" or the name of the rate that was exceeded."""
    try:
        await logins.with_password(name, password, address, device)
    except GrantError as error:
        return "wrong" if error.error == "invalid_grant" else error.error
    except LimitedError as error:
        return error.status.rate.name if error.status.retry_after > 0 else "a limit without a wait"
    return "granted"


async def test_attempts_on_one_account_are_limited_per_network(logins: Logins) -> None:
    """However the name is written; from elsewhere the account stays open, also for its owner."""
    seen = [await attempt(logins, name, "192.0.2.1") for name in ("ada", "ADA", "Ada", "aDa", "ada")]
    assert seen == ["wrong"] * 3 + ["logins"] * 2
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD) == "logins"
    assert await attempt(logins, "bob", "192.0.2.1") == "wrong"
    assert await attempt(logins, "ada", "192.0.2.2") == "wrong"
    assert await attempt(logins, "ada", "192.0.2.2", PASSWORD) == "granted"


async def test_stranger_does_not_keep_the_owner_out(logins: Logins, clock: Clock) -> None:
    """Wrong passwords from one address, as fast as it may: the right one from another always gets through."""
    for _ in range(28):
        clock.now += 2
        await attempt(logins, "ada", "192.0.2.1")
        assert await attempt(logins, "ada", "192.0.2.2", PASSWORD) == "granted"


async def test_account_as_a_whole_is_only_slowed_down(
    logins: Logins, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many failures from everywhere an attempt is delayed, but not refused; and not for ever."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("subcli.server.accounts.logins.asyncio.sleep", noted)
    for number in range(4):
        assert await attempt(logins, "ada", f"192.0.2.{number}") == "wrong"
    assert slept == []
    assert await attempt(logins, "ada", "192.0.2.77") == "wrong"
    assert await attempt(logins, "ada", "192.0.2.77", PASSWORD) == "granted"
    assert slept == [LIMITS.login_delay_s] * 2
    clock.now += LIMITS.login_window_s
    assert await attempt(logins, "ada", "192.0.2.77", PASSWORD) == "granted"
    assert len(slept) == 2


async def test_login_that_is_kept_gets_through(logins: Logins) -> None:
    """Also where its own network is locked, by many accounts: who logged in with the command line needs no password."""
    kept = await logins.with_password("ada", PASSWORD, "192.0.2.1")
    for number in range(20):
        await attempt(logins, "ada" if number % 2 else f"somebody{number}", "192.0.2.1")
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD) != "granted"
    kept = await logins.with_refresh_token(kept.refresh_token, "192.0.2.1")
    assert (await logins.with_refresh_token(kept.refresh_token, "192.0.2.1")).access_token


async def test_device_that_logged_in_before_gets_through(
    logins: Logins, tokens: TokenIssuer, accounts: Accounts, clock: Clock
) -> None:
    """Even where its own network is locked; its own failures are counted, and it is known on this account only."""
    accounts.users.add("eve", Passwords(CHEAP).hash(PASSWORD))
    device, seconds = logins.device(await logins.with_password("ada", PASSWORD, "192.0.2.1"))
    foreign, _ = logins.device(await logins.with_password("eve", PASSWORD, "192.0.2.1"))
    for _ in range(4):
        await attempt(logins, "ada", "192.0.2.1")
    for refused in (None, foreign, device + "x", "x" * 5000, tokens.access(1, "s")):
        assert await attempt(logins, "ada", "192.0.2.1", PASSWORD, refused) == "logins"
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD, device) == "granted"
    seen = [await attempt(logins, "ada", f"192.0.2.{n}", device=device) for n in range(4)]
    assert seen == ["wrong"] * 3 + ["logins-device"]
    clock.now += seconds + LIMITS.leeway_s - 1
    for _ in range(4):
        await attempt(logins, "ada", "192.0.2.1")
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD, device) == "granted"
    clock.now += 1
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD, device) == "logins"


@pytest.mark.thorough
async def test_crowd_at_one_address_logs_in_at_once(logins: Logins) -> None:
    """A classroom behind one address, with one account or many: only failures count, not what is being checked."""
    seen = await asyncio.gather(*(attempt(logins, "ada", "192.0.2.1", PASSWORD) for _ in range(200)))
    assert seen == ["granted"] * 200


async def test_parallel_failures_do_not_exceed_the_limit(logins: Logins) -> None:
    """They are counted before they are checked."""
    seen = await asyncio.gather(*(attempt(logins, f"user{n}", "192.0.2.1") for n in range(40)))
    assert sorted(seen) == ["logins-address"] * 35 + ["wrong"] * 5


async def test_networks_of_one_site_are_limited_together(logins: Logins) -> None:
    """A provider assigns a /56, which has 256 networks of size /64."""
    seen = [await attempt(logins, f"user{n}", f"2001:db8:0:{n:x}::1") for n in range(10)]
    assert seen == ["wrong"] * 8 + ["logins-site"] * 2
    assert await attempt(logins, "another", "2001:db8:0:100::1") == "wrong"


async def test_ipv6_addresses_of_one_network_are_limited_together(logins: Logins) -> None:
    """A /64 belongs to one customer, who can choose any address in it; the next /64 is someone else's."""
    seen = [await attempt(logins, f"user{n}", f"2001:db8::{n:x}:1") for n in range(6)]
    assert seen == ["wrong"] * 5 + ["logins-address"]
    assert await attempt(logins, "another", "2001:db8:0:1::1") == "wrong"


@pytest.mark.parametrize("prefix", ["", "::ffff:"])
async def test_ipv4_addresses_are_limited_one_by_one(logins: Logins, prefix: str) -> None:
    """Also those that a dual-stack socket writes as IPv6."""
    for address in ("192.0.2.1", "192.0.2.2"):
        seen = [await attempt(logins, f"{address}-{n}", prefix + address) for n in range(6)]
        assert seen == ["wrong"] * 5 + ["logins-address"]


async def test_what_is_no_address_is_limited_together(logins: Logins) -> None:
    """Over a Unix socket there is none, and a proxy may pass on what a client wrote into `X-Forwarded-For`."""
    junk = ("", "unknown", "1.2.3.4:80", "[::1]", "192.0.2.1, 192.0.2.2", "\0", "1.2.3.04", "é", "x" * 9000)
    seen = [await attempt(logins, f"user{n}", address) for n, address in enumerate(junk)]
    assert seen == ["wrong"] * 5 + ["logins-address"] * 4
    seen = [await attempt(logins, f"other{n}", f"fe80::1%zone{n}") for n in range(6)]
    assert seen == ["wrong"] * 5 + ["logins-address"]


async def test_attempts_that_the_address_refuses_do_not_lock_the_account(logins: Logins) -> None:
    """Otherwise anybody could lock out anybody else from a blocked address."""
    for n in range(5):
        await attempt(logins, f"user{n}", "192.0.2.1")
    assert [await attempt(logins, "ada", "192.0.2.1") for _ in range(5)] == ["logins-address"] * 5
    assert [await attempt(logins, "ada", "192.0.2.2") for _ in range(4)] == ["wrong"] * 3 + ["logins"]


async def test_successful_logins_do_not_count(logins: Logins) -> None:
    """Neither for the account nor for the address."""
    assert [await attempt(logins, "ada", "192.0.2.1", PASSWORD) for _ in range(10)] == ["granted"] * 10


async def test_limit_ends_after_the_wait(logins: Logins, clock: Clock) -> None:
    """After an interval there is one more attempt."""
    for _ in range(3):
        await attempt(logins, "ada", "192.0.2.1")
    clock.now += 20
    assert [await attempt(logins, "ada", "192.0.2.1") for _ in range(2)] == ["wrong", "logins"]


async def test_refusals_say_what_happened_and_how_long_to_wait(logins: Logins, accounts: Accounts) -> None:
    """The same for a name that does not exist and a wrong password."""

    async def said(coroutine: Coroutine[object, object, object]) -> str:
        with pytest.raises((GrantError, LimitedError)) as error:
            await coroutine
        assert isinstance(error.value, GrantError | LimitedError)
        return error.value.detail

    for name in ("ada", "nobody"):
        assert await said(logins.with_password(name, "wrong password", "192.0.2.1")) == "Wrong user or password."
    for _ in range(2):
        await attempt(logins, "ada", "192.0.2.1")
    assert await said(logins.with_password("ada", PASSWORD, "192.0.2.1")) == (
        "Too many login attempts; try again in 20 s."
    )
    token = (await logins.with_password("ada", PASSWORD, "192.0.2.2")).refresh_token
    for _ in range(3):
        token = await refresh(logins, token)
    assert await said(logins.with_refresh_token(token, "192.0.2.1")) == "Too many refreshes; try again in 200 s."
    for number in range(4):
        await refresh(logins, f"{number:043}")
    assert await said(logins.end_with_refresh_token(token, "192.0.2.1")) == (
        "Too many refresh tokens that are not valid; try again in 15 s."
    )


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """What the audit log was told: what, with which outcome, of whom, from where, why, and in which session."""
    names = ("msg", "outcome", "user", "client", "reason", "session")
    told = [record for record in caplog.records if record.name == "subcli.audit"]
    caplog.clear()
    return [tuple(getattr(record, name, None) for name in names) for record in told]


async def test_audit_log_tells_every_outcome(
    logins: Logins, tokens: TokenIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Of whom, if that is known; of each session its beginning; and why somebody was refused."""
    caplog.set_level(logging.INFO, logger="subcli.audit")
    here, there = "192.0.2.1", "192.0.2.2"
    granted = await logins.with_password("ada", PASSWORD, here)
    session = tokens.read_access(granted.access_token).session
    shown = session[:8]
    renewed = await logins.with_refresh_token(granted.refresh_token, there)
    assert records(caplog) == [
        ("login", "granted", "ada", here, None, shown),
        ("refresh", "granted", "ada", there, None, shown),
    ]
    clock.now += LIMITS.refresh_grace_s + 1
    await refresh(logins, granted.refresh_token, there)
    await refresh(logins, renewed.refresh_token, here)
    await logins.end(session, "ada", here)
    other = await logins.with_password("ada", PASSWORD, here)
    await logins.end_with_refresh_token(other.refresh_token, there)
    of_other = tokens.read_access(other.access_token).session[:8]
    assert records(caplog) == [
        ("refresh", "reused", "ada", there, None, shown),
        ("refresh", "refused", None, here, "invalid_grant", None),
        ("logout", "done", "ada", here, None, shown),
        ("login", "granted", "ada", here, None, of_other),
        ("logout", "done", None, there, None, of_other),
    ]


async def test_audit_log_names_what_was_exceeded(
    store: Store, accounts: Accounts, tokens: TokenIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit, or that too many were waiting; what was typed as a name is told only if it is one."""
    caplog.set_level(logging.INFO, logger="subcli.audit")
    limits = replace(LIMITS, logins=1, refreshes=1, hashes=1, hash_queue=0)
    logins = Logins(store, accounts, tokens, Passwords(CHEAP), MemoryLimiter(clock), limits, lambda: False)
    token = (await logins.with_password("ada", PASSWORD, "192.0.2.1")).refresh_token
    token = await refresh(logins, token)
    records(caplog)
    await refresh(logins, token, "192.0.2.9")
    for name in ("ada", "typed-by-mistake"):
        for _ in range(2):
            await attempt(logins, name, "192.0.2.2")
    async with logins.hashing.turn("elsewhere"):
        with pytest.raises(BusyError):
            await logins.with_password("ada", PASSWORD, "192.0.2.3")
    assert records(caplog) == [
        ("refresh", "refused", None, "192.0.2.9", "refreshes", None),
        ("login", "refused", "ada", "192.0.2.2", "invalid_grant", None),
        ("login", "refused", "ada", "192.0.2.2", "logins", None),
        ("login", "refused", None, "192.0.2.2", "invalid_grant", None),
        ("login", "refused", None, "192.0.2.2", "logins", None),
        ("login", "refused", "ada", "192.0.2.3", "busy", None),
    ]
    for _ in range(30):
        await attempt(logins, "ada", "2001:db8::1")
        await attempt(logins, "ada", "2001:db8::2")
    assert sum(each[4] == "logins" for each in records(caplog)) == 20
    logins.close()


async def test_networks_of_one_site_are_served_as_one(
    store: Store, accounts: Accounts, tokens: TokenIssuer, clock: Clock
) -> None:
    """The owner of a /56 has 256 networks, and waits for a turn like everybody else, also with a known device."""
    limits = replace(LIMITS, hashes=1, logins=50, logins_account=50)
    logins = Logins(store, accounts, tokens, Passwords(CHEAP), MemoryLimiter(clock), limits, lambda: False)
    device, _ = logins.device(await logins.with_password("ada", PASSWORD, ""))
    served: list[str] = []

    async def come(address: str, device: str | None) -> None:
        await attempt(logins, "ada", address, PASSWORD, device)
        served.append(address)

    tasks = []
    async with logins.hashing.turn("elsewhere"):
        for address in ("2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "192.0.2.1", "192.0.2.2"):
            tasks.append(asyncio.create_task(come(address, device if "3::" in address else None)))
            while logins.hashing.length < len(tasks):
                assert not tasks[-1].done()
                await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == ["2001:db8:0:1::1", "192.0.2.1", "192.0.2.2", "2001:db8:0:2::1", "2001:db8:0:3::1"]
    logins.close()


async def test_outdated_hash_is_replaced_at_the_next_login(
    store: Store, accounts: Accounts, tokens: TokenIssuer, clock: Clock
) -> None:
    """With one of the present cost, of the same password; one that is up to date stays."""
    stronger = Passwords(PasswordCost(passes=2, memory_kib=8, lanes=1))
    logins = Logins(store, accounts, tokens, stronger, MemoryLimiter(clock), LIMITS, lambda: False)
    hashes = []
    for _ in range(2):
        assert await attempt(logins, "ada", "", PASSWORD) == "granted"
        found = accounts.users.find("ada")
        assert found is not None
        hashes.append(found.password_hash)
    assert "t=2" in hashes[0]
    assert hashes[0] == hashes[1]
    logins.close()


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer   abc  "], "abc"),
        (["BEARER a b"], "a b"),
        (["Basic abc"], None),
        (["Bearer"], ""),
        (["abc"], None),
        ([], None),
    ],
)
def test_token_of_an_authorization_header(headers: list[str], token: str | None) -> None:
    """The scheme is written in any case, with any number of spaces after it (RFC 9110, section 11.4)."""
    assert bearer_token(headers) == token


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GrantError("invalid_grant", "No."), ("invalid_grant", "No.")),
        (BusyError(5), (5,)),
        (UnauthenticatedError("token used"), ("token used",)),
        (TokenError("token expired"), ("token expired",)),
        (ReusedRefreshTokenError("s", "ada"), ("s", "ada")),
    ],
    ids=lambda given: type(given).__name__,
)
def test_tracebacks_tell_what_an_error_carries(error: Exception, said: tuple[object, ...]) -> None:
    """Whoever reads a log sees it without a debugger."""
    assert error.args == said


async def test_user_removed_during_login_gets_the_same_error(
    logins: Logins, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password was right, but there is no account any more."""
    found = accounts.users.find("ada")
    accounts.users.remove("ada")
    monkeypatch.setattr(accounts.users, "find", lambda _name: found)
    with pytest.raises(GrantError) as error:
        await logins.with_password("ada", PASSWORD, "192.0.2.1")
    assert (error.value.error, error.value.detail) == ("invalid_grant", "Wrong user or password.")


async def test_password_reset_during_login(logins: Logins, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old password opens no session, even if it was verified before the reset."""
    found = accounts.users.find("ada")
    accounts.users.set_password("ada", Passwords(CHEAP).hash("another password"))
    monkeypatch.setattr(accounts.users, "find", lambda _name: found)
    assert await attempt(logins, "ada", "192.0.2.1", PASSWORD) == "wrong"


async def test_any_spelling_of_a_name_logs_in(logins: Logins, accounts: Accounts) -> None:
    """With the same attempts for all; the name stays as the user was added."""
    for name in ("Ada", "ADA", "ａｄａ"):
        granted = await logins.with_password(name, PASSWORD, "192.0.2.1")
        assert accounts.users.names([granted.user_id]) == {granted.user_id: "ada"}
    names = ["ada", "Ada", "ａda", "ADA"]
    assert [await attempt(logins, name, "192.0.2.1") for name in names] == ["wrong"] * 3 + ["logins"]


async def test_disabled_user(logins: Logins, accounts: Accounts) -> None:
    """Only who knows the password is told why."""
    accounts.users.disable("ada")
    assert await attempt(logins, "ada", "192.0.2.1") == "wrong"
    with pytest.raises(GrantError, match="disabled"):
        await logins.with_password("ada", PASSWORD, "192.0.2.1")
    accounts.users.enable("Ada")
    assert (await logins.with_password("ada", PASSWORD, "192.0.2.1")).access_token


async def test_identity_expires_with_the_access_token(
    logins: Logins, tokens: TokenIssuer, store: Store, accounts: Accounts, clock: Clock
) -> None:
    """A socket is open until then, and never for a negative time. In demo mode there is no end."""
    granted = await logins.with_password("ada", PASSWORD, "")
    identities = TokenIdentities(store, accounts, tokens, LIMITS)
    identity = await identities.of_request([f"Bearer {granted.access_token}"])
    assert identity.access is not None
    assert identity.is_limited
    clock.now = identity.access.expires - 12.5
    assert identities.seconds_left(identity) == 12.5
    clock.now += 20
    assert identities.seconds_left(identity) == 0
    demo = Identity(Holder(1, "demo", Role.STUDENT), None)
    assert (demo.is_limited, DemoIdentities().seconds_left(demo)) == (False, None)


async def test_watch_token_is_for_one_socket(
    logins: Logins, tokens: TokenIssuer, store: Store, accounts: Accounts
) -> None:
    """Another submission is refused without using it up, and its session must be open."""
    granted = await logins.with_password("ada", PASSWORD, "")
    identities = TokenIdentities(store, accounts, tokens, LIMITS)
    access = tokens.read_access(granted.access_token)
    token, _ = tokens.watch(access, 7)
    with pytest.raises(UnauthenticatedError, match=r"^token invalid$"):
        await identities.of_socket(token, 8)
    identity = await identities.of_socket(token, 7)
    assert (identity.name, identity.access) == ("ada", access)
    with pytest.raises(UnauthenticatedError, match=r"^token used$"):
        await identities.of_socket(token, 7)
    with pytest.raises(UnauthenticatedError, match=r"^token invalid$"):
        await identities.of_request([f"Bearer {tokens.watch(access, 7)[0]}"])
    unused, _ = tokens.watch(access, 7)
    await logins.end(access.session, "ada", "192.0.2.1")
    with pytest.raises(UnauthenticatedError, match=r"^session ended$"):
        await identities.of_socket(unused, 7)


async def test_refresh_token_of_a_grant(logins: Logins, tokens: TokenIssuer) -> None:
    """It continues the same session with new tokens, and ends it."""
    granted = await logins.with_password("ada", PASSWORD, "")
    refreshed = await logins.with_refresh_token(granted.refresh_token, "192.0.2.1")
    assert refreshed.refresh_token != granted.refresh_token
    assert granted.expires_in == refreshed.expires_in == LIMITS.access_token_s
    before, after = (tokens.read_access(each.access_token) for each in (granted, refreshed))
    assert (before.user_id, before.session) == (after.user_id, after.session)
    await logins.end_with_refresh_token(refreshed.refresh_token, "192.0.2.1")
    with pytest.raises(GrantError) as error:
        await logins.with_refresh_token(refreshed.refresh_token, "192.0.2.1")
    assert (error.value.error, error.value.detail) == (
        "invalid_grant",
        "The login has expired or ended; log in again.",
    )


async def refresh(logins: Logins, token: str, address: str = "192.0.2.1") -> str:
    """Refresh. Returns the next refresh token, "wrong", or the name of the rate that was exceeded."""
    try:
        return (await logins.with_refresh_token(token, address)).refresh_token
    except GrantError:
        return "wrong"
    except LimitedError as error:
        return error.status.rate.name


async def test_refreshes_of_one_session_are_limited(logins: Logins, clock: Clock) -> None:
    """Wherever they come from, retries included; another session of the same user is refreshed, and time helps."""
    one, other = [(await logins.with_password("ada", PASSWORD, "")).refresh_token for _ in range(2)]
    for number in range(3):
        one = await refresh(logins, one, f"192.0.2.{number}")
    assert await refresh(logins, one) == "refreshes"
    assert len(await refresh(logins, other)) == 43
    clock.now += LIMITS.refresh_window_s / LIMITS.refreshes
    assert len(await refresh(logins, one)) == 43


async def test_guessed_refresh_tokens_are_limited(logins: Logins) -> None:
    """From one network, at refreshes and logouts together; valid ones do not count."""
    valid = [(await logins.with_password("ada", PASSWORD, "")).refresh_token for _ in range(6)]
    for token in valid[:3]:
        assert len(await refresh(logins, token, "2001:db8::1")) == 43
    await logins.end_with_refresh_token(valid[3], "2001:db8::1")
    seen = [await refresh(logins, f"{n:043}", "2001:db8::1") for n in range(2)]
    for n in range(2):
        await logins.end_with_refresh_token(f"{n:043}", f"2001:db8::{n:x}")
    seen += [await refresh(logins, f"{n:043}", "2001:db8::3") for n in range(2)]
    assert seen == ["wrong", "wrong", "guesses-address", "guesses-address"]
    with pytest.raises(LimitedError):
        await logins.end_with_refresh_token(valid[4], "2001:db8::1")
    seen = [await refresh(logins, f"{n:043}", f"2001:db8:0:{n:x}::") for n in range(1, 4)]
    assert seen == ["wrong", "wrong", "guesses-site"]
    assert len(await refresh(logins, valid[4], "192.0.2.1")) == 43


async def test_guessed_refresh_tokens_keep_nobody_from_writing(
    logins: Logins, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a token that is known opens a transaction that writes: 240 guesses a second delayed every event."""
    known = (await logins.with_password("ada", PASSWORD, "")).refresh_token
    rotated: list[str] = []
    rotate = accounts.rotate

    def noted(token: str) -> LoginSession:
        rotated.append(token)
        return rotate(token)

    monkeypatch.setattr(accounts, "rotate", noted)
    assert [await refresh(logins, f"{n:043}", f"192.0.2.{n}") for n in range(3)] == ["wrong"] * 3
    assert len(await refresh(logins, known)) == 43
    assert rotated == [known]


async def test_expired_sessions_are_deleted_by_a_job(
    store: Store,
    accounts: Accounts,
    tokens: TokenIssuer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Again and again, also after the database did not answer once, which the operator is told."""
    limits = ServerLimits(cleanup_s=0.001)
    logins = Logins(store, accounts, tokens, Passwords(CHEAP), MemoryLimiter(clock), limits, lambda: False)
    calls: list[str] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    delete_expired = accounts.delete_expired

    def noted() -> None:
        calls.append("once more")
        if len(calls) == 1:
            raise OperationalError("DELETE", None, OSError("no connection"))
        delete_expired()
        loop.call_soon_threadsafe(done.set)

    monkeypatch.setattr(accounts, "delete_expired", noted)
    token = (await logins.with_password("ada", PASSWORD, "")).refresh_token
    clock.now += LIMITS.refresh_token_s + 1
    running = asyncio.create_task(logins.run())
    await asyncio.wait_for(done.wait(), HANG_S)
    running.cancel()
    assert accounts.session_of(token) is None
    assert "expired sessions cannot be deleted: no connection" in caplog.messages
    logins.close()


@pytest.mark.parametrize("overdue_s", [30, 90])
def test_leeway_extends_every_token(overdue_s: int) -> None:
    """For gateways whose clocks differ: an expired token stays valid that much longer, and says until when."""
    now = int(time.time())
    limits = ServerLimits(access_token_s=100, watch_token_s=50, leeway_s=60)
    access_token = TokenIssuer(KEY, limits, lambda: now - 100 - overdue_s).access(7, "s")
    watch_token, _ = TokenIssuer(KEY, limits, lambda: now - 50 - overdue_s).watch(AccessClaims(7, "s", now + 1000), 42)
    reader = TokenIssuer(KEY, limits, lambda: now)
    if overdue_s > limits.leeway_s:
        for token in (access_token, watch_token):
            with pytest.raises(TokenError, match=r"^token expired$"):
                reader.read_any(token)
        return
    assert reader.read_any(access_token) == AccessClaims(7, "s", now - overdue_s + 60)
    watch = reader.read_any(watch_token)
    assert isinstance(watch, WatchClaims)
    assert (watch.submission_id, watch.expires) == (42, now - overdue_s + 60)
    assert watch.access == AccessClaims(7, "s", now + 1000)


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "a" * 5000])
async def test_reasons_name_no_token(token: str | None, tokens: TokenIssuer, store: Store, accounts: Accounts) -> None:
    """Two words say why a token was refused, over REST and on sockets."""
    identities = TokenIdentities(store, accounts, tokens, LIMITS)
    reason = "token invalid" if token else "token missing"
    for authenticate in (
        identities.of_request([] if token is None else [f"Bearer {token}"]),
        identities.of_socket(token, 7),
    ):
        with pytest.raises(UnauthenticatedError) as error:
            await authenticate
        assert error.value.reason == str(error.value) == reason


def test_watch_token_does_not_outlive_its_access_token(clock: Clock) -> None:
    """Its lifetime is cut to what is left of the access token, and its claims say when that ends."""
    limits = ServerLimits(access_token_s=900, watch_token_s=55, leeway_s=2)
    tokens = TokenIssuer(KEY, limits, clock)
    access = AccessClaims(7, "s", clock.now + 30 + limits.leeway_s)
    assert tokens.watch(access, 1)[1] == 30
    assert tokens.watch(AccessClaims(7, "s", clock.now + 900), 1)[1] == 55
    assert tokens.watch(AccessClaims(7, "s", clock.now - 5), 1)[1] == 0
