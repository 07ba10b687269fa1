"""Groups of users, such as the students of a class.

A group is no more than its members: it begins with the first and is gone with the last, and a user who is removed
leaves all of theirs. Two spellings of a name are the same group, as with users (`subcli.server.accounts.names`). The
methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, Engine, delete, insert, select

from subcli.server.accounts.names import is_valid, name_key
from subcli.server.accounts.user_rows import locked_row
from subcli.server.log.database import reading
from subcli.server.log.lookup import members_of
from subcli.server.log.tables import group_members, users


class UnknownGroupError(LookupError):
    """No group with this name exists. Carries the name, as it was given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Group:
    """A group, and the names of its members, sorted."""

    name: str
    members: Sequence[str]


class Groups:
    """Groups in a database with the schema of `subcli.server.log.tables`."""

    def __init__(self, engine: Engine) -> None:
        self._write = engine
        self._read = reading(engine)

    def add(self, group: str, names: Iterable[str]) -> Group:
        """Make users members of a group; those who are already stay so.

        Returns:
            the group's own spelling of its name, and the names of those who joined.

        Raises:
            UnknownUserError: there is no user with one of these names, so nobody was added.
        """
        with self._write.begin() as connection:
            # In one order, so that two who add the same users do not wait for each other.
            rows = {row.id: row.name for row in (locked_row(connection, name) for name in sorted(names, key=name_key))}
            return join(connection, group, rows)

    def remove(self, group: str, names: Iterable[str]) -> Group:
        """Let members leave a group; all of them if no names are given. Users without membership are no error.

        Returns:
            the group's own spelling of its name, and the names of those who left.

        Raises:
            UnknownGroupError: there is no such group.
            UnknownUserError: there is no user with one of these names, so nobody was removed.
        """
        key = name_key(group)
        with self._write.begin() as connection:
            name = _spelling(connection, key) if is_valid(key) else None
            if name is None:
                raise UnknownGroupError(group)
            chosen = [group_members.c.group_key == key]
            if given := sorted(names, key=name_key):
                ids = [locked_row(connection, each).id for each in given]
                chosen.append(group_members.c.user_id.in_(ids))
            member = select(users.c.name).join(group_members, group_members.c.user_id == users.c.id)
            left = connection.execute(member.where(*chosen).order_by(users.c.name)).scalars().all()
            connection.execute(delete(group_members).where(*chosen))
        return Group(name, left)

    def all(self) -> list[Group]:
        """All groups by name, with their members."""
        query = select(group_members.c.group_key, group_members.c.group_name, users.c.name)
        query = query.join(users, users.c.id == group_members.c.user_id)
        with self._read.begin() as connection:
            rows = connection.execute(query.order_by(group_members.c.group_key, users.c.name)).all()
        return [
            Group(found[0].group_name, [row.name for row in found])
            for found in (list(each) for _, each in groupby(rows, lambda row: row.group_key))
        ]

    def key(self, group: str) -> str:
        """The key of a group's name, with which its submissions are found.

        Raises:
            UnknownGroupError: there is no such group.
        """
        key = name_key(group)
        with self._read.begin() as connection:
            if not is_valid(key) or _spelling(connection, key) is None:
                raise UnknownGroupError(group)
        return key


def join(connection: Connection, group: str, members: Mapping[int, str]) -> Group:
    """Make users members of a group within a transaction, as `Groups.add` does.

    Args:
        members: their names by their ids.
    """
    key = name_key(group)
    name = _spelling(connection, key) or group
    known = set(connection.execute(members_of(key)).scalars())
    new = {number: member for number, member in members.items() if number not in known}
    if new:
        rows = [{"group_key": key, "user_id": number, "group_name": name} for number in new]
        connection.execute(insert(group_members), rows)
    return Group(name, sorted(new.values()))


def _spelling(connection: Connection, key: str) -> str | None:
    """The name of a group as its first member's row has it; None if there is no such group."""
    query = select(group_members.c.group_name).where(group_members.c.group_key == key)
    return connection.execute(query.order_by(group_members.c.user_id).limit(1)).scalar()
