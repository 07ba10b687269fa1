"""Sessions and refresh tokens in the database, with a clock that the test controls."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table, func, select

from subcli.server.accounts.accounts import (
    Accounts,
    InvalidRefreshTokenError,
    LoginSession,
)
from subcli.server.accounts.holders import Holder
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import User, UserExistsError
from subcli.server.log.tables import refresh_tokens, sessions, used_tokens
from subcli.server.settings import ServerLimits
from tests.server.clock import Clock

pytestmark = pytest.mark.every_backend

LIFETIME_S = 1000
GRACE_S = 10.0
REUSE_S = 600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    limits = ServerLimits(refresh_token_s=LIFETIME_S, refresh_grace_s=GRACE_S, refresh_reuse_s=REUSE_S)
    return Accounts(engine, clock, limits, b"a signing key of tests, long enough")


@pytest.fixture
def session(accounts: Accounts) -> LoginSession:
    accounts.users.add("ada", "hash")
    return accounts.open_session(user_id(accounts))


def user_id(accounts: Accounts, name: str = "ada") -> int:
    found = accounts.users.find(name)
    assert found is not None
    return found.id


def is_open(accounts: Accounts, session: LoginSession) -> bool:
    return accounts.holder(session.id, session.user_id) is not None


def test_refreshing_extends_the_session(accounts: Accounts, clock: Clock, session: LoginSession) -> None:
    """A session that is refreshed in time stays open beyond its first lifetime, and then expires like a new one."""
    current = session
    for _ in range(5):
        clock.now += LIFETIME_S - 1
        assert is_open(accounts, session)
        current = accounts.rotate(current.refresh_token)
        assert (current.id, current.user_id) == (session.id, session.user_id)
    clock.now += LIFETIME_S - 1
    assert is_open(accounts, session)
    assert [user.sessions for user in accounts.users.all()] == [1]
    clock.now += 1
    assert not is_open(accounts, session)
    assert [user.sessions for user in accounts.users.all()] == [0]
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(current.refresh_token)


def test_unused_refresh_token_expires_at_its_lifetime(accounts: Accounts, clock: Clock, session: LoginSession) -> None:
    """The last moment is one before the lifetime ends."""
    clock.now += LIFETIME_S - 1
    assert set(accounts.open_among([session.id, "another"])) == {session.id}
    clock.now += 1
    assert not is_open(accounts, session)
    assert set(accounts.open_among([session.id, "another"])) == set()
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(session.refresh_token)


def test_reuse_within_the_grace_period_returns_the_same_successor(
    accounts: Accounts, clock: Clock, session: LoginSession
) -> None:
    """Up to and including its last moment; one later ends the session for every token of the family."""
    second = accounts.rotate(session.refresh_token)
    clock.now += GRACE_S
    assert accounts.rotate(session.refresh_token) == second
    assert is_open(accounts, session)
    clock.now += 0.5
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(session.refresh_token)
    assert not is_open(accounts, session)
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(second.refresh_token)


def test_reuse_does_not_extend_the_grace_period(accounts: Accounts, clock: Clock, session: LoginSession) -> None:
    """The period starts at the first use."""
    accounts.rotate(session.refresh_token)
    clock.now += GRACE_S - 1
    accounts.rotate(session.refresh_token)
    clock.now += 2
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(session.refresh_token)


def test_successors_depend_on_the_signing_key(engine: Engine, clock: Clock, accounts: Accounts) -> None:
    """Whoever reads the database but not the key cannot compute a successor."""
    accounts.users.add("ada", "hash")
    opened = accounts.open_session(user_id(accounts))
    successor = accounts.rotate(opened.refresh_token)
    other = Accounts(engine, clock, ServerLimits(refresh_grace_s=GRACE_S), b"another signing key")
    assert other.rotate(opened.refresh_token).refresh_token != successor.refresh_token


def test_expired_rows_are_deleted(accounts: Accounts, clock: Clock, session: LoginSession, engine: Engine) -> None:
    """Sessions with their tokens, tokens of open sessions, and ids of used watch tokens; nothing else."""
    accounts.consume("watch", clock.now + LIFETIME_S - 2)
    clock.now += LIFETIME_S - 1
    current = accounts.rotate(session.refresh_token)
    accounts.open_session(session.user_id)
    accounts.delete_expired()
    assert [rows(engine, table) for table in (sessions, refresh_tokens, used_tokens)] == [2, 3, 0]
    clock.now += 2
    accounts.delete_expired()
    assert [rows(engine, table) for table in (sessions, refresh_tokens)] == [2, 2]
    accounts.rotate(current.refresh_token)
    clock.now += LIFETIME_S - 1
    accounts.delete_expired()
    assert [rows(engine, table) for table in (sessions, refresh_tokens)] == [1, 1]
    clock.now += 2
    accounts.delete_expired()
    assert [rows(engine, table) for table in (sessions, refresh_tokens)] == [0, 0]


def test_used_tokens_are_kept_as_long_as_reuse_is_detected(
    accounts: Accounts, clock: Clock, session: LoginSession, engine: Engine
) -> None:
    """After that, a used token is refused like any unknown one, and the session goes on."""
    current = accounts.rotate(session.refresh_token)
    clock.now += REUSE_S
    accounts.delete_expired()
    assert rows(engine, refresh_tokens) == 2
    clock.now += 1
    accounts.delete_expired()
    assert rows(engine, refresh_tokens) == 1
    with pytest.raises(InvalidRefreshTokenError):
        accounts.rotate(session.refresh_token)
    assert is_open(accounts, session)
    accounts.rotate(current.refresh_token)


def rows(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_single_use_tokens(accounts: Accounts, clock: Clock) -> None:
    """The first use is accepted, the second is not; another token is independent."""
    assert accounts.consume("a", clock.now + 60)
    assert not accounts.consume("a", clock.now + 60)
    assert accounts.consume("b", clock.now + 60)


def test_sessions_belong_to_their_user(accounts: Accounts, session: LoginSession) -> None:
    """Another user's id does not match this session."""
    accounts.users.add("bob", "hash")
    assert accounts.holder(session.id, session.user_id) == Holder(session.user_id, "ada", Role.STUDENT)
    assert accounts.holder(session.id, user_id(accounts, "bob")) is None


def test_ending_a_session(accounts: Accounts, session: LoginSession) -> None:
    """Also one that is found by a used refresh token; other sessions stay, and ending it again does nothing."""
    other = accounts.open_session(session.user_id)
    third = accounts.open_session(session.user_id)
    accounts.end_session(session.id)
    accounts.end_session(session.id)
    assert [is_open(accounts, each) for each in (session, other, third)] == [False, True, True]
    accounts.rotate(other.refresh_token)
    assert accounts.session_of(other.refresh_token) == other.id
    assert accounts.session_of("unknown") is None
    accounts.end_session(other.id)
    assert [is_open(accounts, each) for each in (session, other, third)] == [False, False, True]


def test_user_names_are_unique_until_removed(accounts: Accounts, session: LoginSession) -> None:
    """A removed user's sessions end and the name is free; the new user is another one."""
    with pytest.raises(UserExistsError):
        accounts.users.add("ada", "another hash")
    accounts.users.remove("ada")
    assert not is_open(accounts, session)
    assert accounts.users.find("ada") is None
    assert accounts.users.all() == []
    for name in ("ada", "nobody"):
        with pytest.raises(UnknownUserError):
            accounts.users.remove(name)
    with pytest.raises(UnknownUserError):
        accounts.open_session(session.user_id)
    accounts.users.add("ada", "new hash")
    assert user_id(accounts) != session.user_id


def test_users_are_listed_with_their_sessions(accounts: Accounts, clock: Clock, session: LoginSession) -> None:
    """By name, with the time at which they were added and the number of open sessions."""
    clock.now += 5
    accounts.users.add("Bob", "hash")
    clock.now += 5
    accounts.users.add("abe", "hash")
    accounts.open_session(session.user_id)
    accounts.open_session(user_id(accounts, "Bob"))
    assert sorted(accounts.users.all(), key=lambda user: user.created_at) == [
        User("ada", clock.now - 10, 2),
        User("Bob", clock.now - 5, 1),
        User("abe", clock.now, 0),
    ]
    names = [user.name for user in accounts.users.all()]
    assert names.index("abe") < names.index("ada")


def test_removing_a_user_leaves_the_others(accounts: Accounts, session: LoginSession) -> None:
    """Their names and sessions stay."""
    accounts.users.add("bob", "hash")
    other = accounts.open_session(user_id(accounts, "bob"))
    accounts.users.remove("ada")
    assert [user.name for user in accounts.users.all()] == ["bob"]
    assert (is_open(accounts, session), is_open(accounts, other)) == (False, True)


def test_hash_is_replaced_only_if_unchanged(accounts: Accounts, session: LoginSession) -> None:
    """A password that was changed in the meantime keeps its new hash; other users keep theirs."""
    accounts.users.add("bob", "hash")
    accounts.users.replace_hash(session.user_id, "hash", "stronger")
    accounts.users.replace_hash(session.user_id, "hash", "stale")
    found = [accounts.users.find(name) for name in ("ada", "bob")]
    assert [each and each.password_hash for each in found] == ["stronger", "hash"]


def test_refresh_token_can_be_any_text(accounts: Accounts) -> None:
    """JSON can hold half of a surrogate pair, which has no UTF-8. It is unknown, like any other junk."""
    for token in ("\ud800", "\0", "é", "A" * 44, "A" * 42):
        assert accounts.session_of(token) is None
        with pytest.raises(InvalidRefreshTokenError):
            accounts.rotate(token)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a" * 65, "ada\n", "~1", "é", "a\0"])
def test_invalid_names_are_not_looked_up(accounts: Accounts, name: str) -> None:
    """They are unknown users, whatever the database would make of them."""
    assert accounts.users.find(name) is None


def test_the_answer_to_a_refresh_was_lost_while_keys_are_changed(
    engine: Engine, accounts: Accounts, clock: Clock, session: LoginSession
) -> None:
    """Whichever gateway is asked again, the successor is the one that was given: the family does not branch."""
    old = b"a signing key of tests, long enough"
    new = b"another signing key, for tomorrow"
    limits = ServerLimits(refresh_token_s=LIFETIME_S, refresh_grace_s=GRACE_S, refresh_reuse_s=REUSE_S)
    before, after = Accounts(engine, clock, limits, old, new), Accounts(engine, clock, limits, new, old)
    current = session.refresh_token
    for first, second in ((before, after), (after, before), (after, after), (before, before)):
        given = first.rotate(current).refresh_token
        assert second.rotate(current).refresh_token == given
        current = given
    with engine.connect() as connection:
        # One for each refresh, and the first.
        assert connection.execute(select(func.count()).select_from(refresh_tokens)).scalar_one() == 5
