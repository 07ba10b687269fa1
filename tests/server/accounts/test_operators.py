"""What operators do with users, in both databases."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, func, select, text

from subcli.server.accounts.machine_tokens import MachineTokens
from subcli.server.accounts.names import name_key
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import NewUser, OwnsSubmissionsError, UserExistsError, Users
from subcli.server.log import migrations
from subcli.server.log.database import open_database
from subcli.server.log.records import NewSubmission, UnknownSubmissionError
from subcli.server.log.store import Store
from subcli.server.log.tables import metadata
from subcli.server.settings import ServerLimits
from tests.server.clock import Clock

pytestmark = pytest.mark.every_backend


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(engine: Engine, clock: Clock) -> Users:
    return Users(engine, clock)


@pytest.mark.thorough
def test_one_name_in_every_spelling(users: Users) -> None:
    """A user is found by any of them, keeps the first, and nobody else gets the name."""
    users.add("Ada", "hash")
    for name in ("ada", "ADA", "Ada", "ａｄａ"):
        found = users.find(name)
        assert found is not None
        assert found.name == "Ada"
    for name in ("ada", "Ada"):
        with pytest.raises(UserExistsError) as raised:
            users.add(name, "hash")
        assert raised.value.name == "Ada"
    assert users.taken(["ADA", "bob", "Demo"]) == {"ADA": "Ada", "Demo": "demo"}
    assert [users.set_password("ADA", "new"), users.disable("ada"), users.enable("aDa")] == ["Ada"] * 3


@pytest.mark.parametrize(("one", "other"), [("ada", "ADA"), ("ﬁ", "FI"), ("straße", "STRASSE"), ("ａ", "A")])
def test_name_key(one: str, other: str) -> None:
    """Case and compatibility forms do not count."""
    assert name_key(one) == name_key(other)


def test_all_or_none(users: Users) -> None:
    """A name that is taken, or is there twice, leaves nobody added."""
    users.add("ada", "hash")
    for names in (["bob", "ADA"], ["bob", "eve", "Bob"]):
        with pytest.raises(UserExistsError):
            users.add_all([NewUser(name, "hash") for name in names])
    assert [user.name for user in users.all()] == ["ada"]
    users.add_all([NewUser(f"u{number}", "hash", Role.TEACHER) for number in range(600)])
    assert len(users.taken([f"U{number}" for number in range(700)])) == 600


def test_roles(users: Users) -> None:
    """A user is a student unless something else is said."""
    users.add("ada", "hash")
    users.add("eve", "hash", Role.TEACHER)
    assert users.set_role("ADA", Role.ADMIN) == ("ada", Role.STUDENT)
    assert {user.name: user.role for user in users.all()} == {"ada": Role.ADMIN, "eve": Role.TEACHER}


def test_resetting_a_password(users: Users, engine: Engine, clock: Clock) -> None:
    """Access tokens stay, unless they are to be revoked; other users' stay in any case."""
    tokens = MachineTokens(engine, clock, ServerLimits())
    for name in ("ada", "bob"):
        users.add(name, "hash")
        tokens.create(users.id_of(name), "ci", "read", 60)
    users.set_password("ada", "new")
    left = [len(tokens.of_user(users.id_of(name))) for name in ("ada", "bob")]
    users.set_password("ada", "newer", revoke_tokens=True)
    assert [*left, *(len(tokens.of_user(users.id_of(name))) for name in ("ada", "bob"))] == [1, 1, 0, 1]


def test_disabling_keeps_the_first_time(users: Users, clock: Clock) -> None:
    """Disabling twice is no mistake, and enabling undoes both."""
    users.add("ada", "hash")
    users.disable("ada")
    clock.now += 5
    users.disable("ada")
    assert [user.disabled_at for user in users.all()] == [1000.0]
    users.enable("ada")
    assert [user.disabled_at for user in users.all()] == [None]


def test_unknown_users(users: Users) -> None:
    """Also the demo user, as whom nobody logs in."""
    for name in ("nobody", "demo", "", "~1"):
        for change in (users.disable, users.enable, users.remove, users.id_of):
            with pytest.raises(UnknownUserError):
                change(name)
        with pytest.raises(UnknownUserError):
            users.set_password(name, "hash")
        with pytest.raises(UnknownUserError):
            users.set_role(name, Role.ADMIN)


def submit(store: Store, owner: int) -> int:
    return store.create(NewSubmission(owner, "echo", "python", {"a.py": "1"}))[0].id


def test_nothing_is_orphaned(users: Users, store: Store, engine: Engine) -> None:
    """A user with submissions is removed only with them, and only when they have verdicts; all rows go, no others."""
    for name in ("ada", "bob"):
        users.add(name, "hash")
    ada, bob = users.id_of("ada"), users.id_of("bob")
    theirs, other = [submit(store, ada), submit(store, ada)], submit(store, bob)
    store.cancel(theirs[0], ada)
    store.cancel(other, bob)
    with pytest.raises(OwnsSubmissionsError) as raised:
        users.remove("ada")
    assert (raised.value.count, raised.value.unfinished) == (2, 1)
    with pytest.raises(OwnsSubmissionsError):
        users.remove("ada", with_submissions=True)
    store.cancel(theirs[1], ada)
    with pytest.raises(OwnsSubmissionsError):
        users.remove("Ada")
    assert users.remove("Ada", with_submissions=True) == ("ada", 2)
    for submission_id in theirs:
        with pytest.raises(UnknownSubmissionError):
            store.lookup.page(submission_id, 0, 10)
    assert store.lookup.page(other, 0, 10).records
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for key in table.foreign_keys:
                orphans = select(func.count()).where(key.parent.not_in(select(key.column)))
                assert connection.execute(orphans).scalar_one() == 0, table.name
    users.add("ada", "hash")
    assert users.id_of("ada") not in (ada, bob)


def test_names_of_an_older_version(
    engine: Engine, database: str, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """Two users with one name in two spellings are named; each logs in with its own, until one of them is removed."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
        for name in ("ada", "Ada", "Bob"):
            connection.execute(
                text("INSERT INTO users (name, created_at, password_hash) VALUES (:name, 0, 'hash')"), {"name": name}
            )
    with caplog.at_level(logging.WARNING):
        open_database(database).dispose()
    told = [record.getMessage() for record in caplog.records if "spellings" in record.getMessage()]
    assert len(told) == 1
    assert "the users ada and Ada " in told[0]
    assert "`subcli user remove`" in told[0]
    users = Users(engine, clock)
    found = {name: users.find(name) for name in ("ada", "Ada", "ADA", "bob", "BOB")}
    assert {name: each and each.name for name, each in found.items()} == {
        "ada": "ada",
        "Ada": "Ada",
        "ADA": "ada",
        "bob": "Bob",
        "BOB": "Bob",
    }
    for name in ("ada", "aDA"):
        with pytest.raises(UserExistsError):
            users.add(name, "hash")
    users.remove("ada")
    assert [users.find(name) and users.id_of(name) for name in ("ada", "ADA")] == [users.id_of("Ada")] * 2
    with pytest.raises(UserExistsError):
        users.add("ada", "hash")


def test_user_that_an_older_version_adds(users: Users, sql: Callable[[str], Sequence[Any]]) -> None:
    """While this version is being rolled out: the name is taken, and its user logs in with the spelling given then."""
    sql("INSERT INTO users (name, created_at, password_hash) VALUES ('Eve', 0, 'hash')")
    assert users.find("Eve") is not None
    assert users.taken(["eve"]) == {"eve": "Eve"}
    assert users.remove("Eve") == ("Eve", 0)
