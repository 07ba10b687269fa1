"""Groups of users, in both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from subcli.server.accounts.groups import Group, Groups, UnknownGroupError
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import NewUser, UserExistsError, Users
from subcli.server.log.listing import Filter
from subcli.server.log.records import NewSubmission
from subcli.server.log.store import Store
from tests.server.clock import Clock

pytestmark = pytest.mark.every_backend


@pytest.fixture
def users(engine: Engine) -> Users:
    users = Users(engine, Clock())
    for name in ("ada", "Bob", "cyd"):
        users.add(name, "hash")
    return users


@pytest.fixture
def groups(engine: Engine, users: Users) -> Groups:
    return Groups(engine)


def test_members_come_and_go(groups: Groups) -> None:
    """In any spelling of group and user; who is a member already stays one, and the last one takes the group along."""
    assert groups.all() == []
    assert groups.add("Monday", ["ADA", "bob"]) == Group("Monday", ["Bob", "ada"])
    assert groups.add("MONDAY", ["ada", "cyd", "Cyd"]) == Group("Monday", ["cyd"])
    groups.add("all", ["ada"])
    assert groups.all() == [Group("all", ["ada"]), Group("Monday", ["Bob", "ada", "cyd"])]
    assert groups.remove("monday", ["ada", "bob"]) == Group("Monday", ["Bob", "ada"])
    assert groups.remove("monday", ["ada"]) == Group("Monday", [])
    assert groups.key("mONDAY") == "monday"
    assert groups.remove("monday", []) == Group("Monday", ["cyd"])
    assert [each.name for each in groups.all()] == ["all"]
    # The name is free again, for another spelling too.
    assert groups.add("monday", ["ada"]).name == "monday"


def test_all_or_nobody(groups: Groups) -> None:
    """One name that nobody has, and nobody joins or leaves; the error names it."""
    groups.add("g", ["ada"])
    for change in (groups.add, groups.remove):
        with pytest.raises(UnknownUserError) as raised:
            change("g", ["ada", "Bob", "nobody"])
        assert raised.value.name == "nobody"
    assert groups.all() == [Group("g", ["ada"])]


@pytest.mark.parametrize("name", ["none", "", "~", "a\0b", "ﬁ", "g" * 65])
def test_unknown_groups(groups: Groups, name: str) -> None:
    """Whatever the name is."""
    for ask in (groups.key, lambda name: groups.remove(name, [])):
        with pytest.raises(UnknownGroupError) as raised:
            ask(name)
        assert raised.value.name == name


def test_imported_with_their_groups(users: Users, groups: Groups) -> None:
    """In the transaction that adds them; if one user cannot be added, no group has members."""
    with pytest.raises(UserExistsError):
        users.add_all([NewUser("dan", "hash", group="g"), NewUser("ADA", "hash", group="g")])
    assert groups.all() == []
    users.add_all([NewUser("dan", "hash", group="G"), NewUser("eve", "hash", group="g"), NewUser("fay", "hash")])
    assert groups.all() == [Group("G", ["dan", "eve"])]


def test_who_is_removed_leaves(users: Users, groups: Groups, engine: Engine) -> None:
    """No row is left of a user, nor of a group that had no other member; an older server on this database can, too."""
    groups.add("g", ["ada", "cyd"])
    groups.add("h", ["ada"])
    users.remove("ada")
    assert groups.all() == [Group("g", ["cyd"])]
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM users WHERE name = 'cyd'")
        assert connection.exec_driver_sql("SELECT count(*) FROM group_members").scalar() == 0


def test_filters(users: Users, groups: Groups, store: Store) -> None:
    """A list, and the results of a problem, of a group's members only; both combine with a user and a problem."""

    def submit(name: str, problem: str = "echo") -> int:
        return store.create(NewSubmission(users.id_of(name), problem, "python", {"a.py": "1"}))[0].id

    ada, bob, cyd, other = submit("ada"), submit("bob"), submit("cyd"), submit("ada", "other")
    groups.add("g", ["ada", "bob"])

    def listed(**wanted: Any) -> list[int]:
        return [row.id for row in store.listing.page(Filter(**{"owner_id": None, "group": "g", **wanted}), 10).rows]

    assert listed() == [other, bob, ada]
    assert listed(problem="echo") == listed(problem="echo", status="pending") == [bob, ada]
    assert listed(owner_id=users.id_of("ada")) == [other, ada]
    assert (listed(owner_id=users.id_of("cyd")), listed(group="nothing"), listed(verdict="passed")) == ([], [], [])
    assert listed(group=None) == [other, cyd, bob, ada]
    page = store.standings.page("echo", "best", 10, group="g")
    assert [row.user for row in page.rows] == ["Bob", "ada"]
    first = store.standings.page("echo", "best", 1, group="g")
    assert first.next == "Bob"
    assert [row.user for row in store.standings.page("echo", "best", 1, "Bob", "g").rows] == ["ada"]
