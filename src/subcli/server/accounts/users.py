"""Users: what operators do with them, and what a login looks up.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from subcli.server.accounts.groups import join
from subcli.server.accounts.names import name_key
from subcli.server.accounts.permissions import Role
from subcli.server.accounts.user_rows import (
    UnknownUserError,
    find_row,
    locked_row,
    release_name,
    taken_names,
)
from subcli.server.log.database import reading
from subcli.server.log.removal import delete_referring
from subcli.server.log.tables import machine_tokens, sessions, submissions, users


class UserExistsError(Exception):
    """A user with this name already exists. Carries that name as the user spells it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class OwnsSubmissionsError(Exception):
    """A user cannot be removed because of their submissions.

    Attributes:
        count: how many there are,
        unfinished: and how many of them have no verdict yet.
    """

    def __init__(self, count: int, unfinished: int) -> None:
        super().__init__(count, unfinished)
        self.count = count
        self.unfinished = unfinished


@dataclass(frozen=True, slots=True)
class User:
    """One user, as shown by `subcli user list`.

    Attributes:
        created_at: Unix time in seconds.
        sessions: number of open sessions.
        disabled_at: since when the user may not log in; None if they may.
    """

    name: str
    created_at: float
    sessions: int
    role: Role = Role.STUDENT
    disabled_at: float | None = None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be added."""

    name: str
    password_hash: str
    role: Role = Role.STUDENT
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What a login needs to know about a user. `name` is the user's own spelling."""

    id: int
    name: str
    password_hash: str
    is_disabled: bool


def _join_groups(connection: Connection, new: Sequence[NewUser]) -> None:
    """Put users who were just added into their groups."""
    groups: dict[str, list[str]] = {}
    for each in new:
        if each.group is not None:
            groups.setdefault(each.group, []).append(each.name)
    for group, names in groups.items():
        join(connection, group, {locked_row(connection, name).id: name for name in names})


class Users:
    """Users in a database with the schema of `subcli.server.log.tables`.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._write = engine
        self._read = reading(engine)
        self._clock = clock

    # -- adding --------------------------------------------------------------------------------------

    def add(self, name: str, password_hash: str, role: Role = Role.STUDENT) -> None:
        """Add a user.

        Raises:
            UserExistsError: the name is taken, perhaps in another spelling.
        """
        self.add_all([NewUser(name, password_hash, role)])

    def add_all(self, new: Sequence[NewUser]) -> None:
        """Add all these users, or none of them.

        Raises:
            UserExistsError: a name is taken, perhaps in another spelling.
        """
        now = self._clock()
        rows = [
            {
                "name": each.name,
                "name_key": name_key(each.name),
                "password_hash": each.password_hash,
                "role": each.role,
                "created_at": now,
            }
            for each in new
        ]
        names = [each.name for each in new]
        try:
            with self._write.begin() as connection:
                for taken in taken_names(connection, names).values():
                    raise UserExistsError(taken)
                connection.execute(insert(users), rows)
                _join_groups(connection, new)
        except IntegrityError:
            # Another process has added one of them at the same moment.
            raise UserExistsError(next(iter(self.taken(names).values()), names[0])) from None

    def taken(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these names that users have already, each with that user's spelling of it."""
        with self._read.begin() as connection:
            return taken_names(connection, names)

    # -- looking up ----------------------------------------------------------------------------------

    def all(self) -> list[User]:
        """Users who can log in or are disabled, sorted by name."""
        is_open = sessions.c.expires_at > self._clock()
        shown = (users.c.name, users.c.created_at, users.c.role, users.c.disabled_at)
        query = (
            select(*shown, func.count(sessions.c.id).label("sessions"))
            .outerjoin_from(users, sessions, (sessions.c.user_id == users.c.id) & is_open)
            .where(users.c.password_hash.is_not(None))
            .group_by(users.c.id, *shown)
            .order_by(users.c.name)
        )
        with self._read.begin() as connection:
            return [
                User(row.name, row.created_at, row.sessions, Role(row.role), row.disabled_at)
                for row in connection.execute(query)
            ]

    def find(self, name: str) -> Account | None:
        """The user with this name in any spelling, or None if there is no such user."""
        with self._read.begin() as connection:
            row = find_row(connection, name)
        return None if row is None else Account(row.id, row.name, row.password_hash, row.disabled_at is not None)

    def id_of(self, name: str) -> int:
        """The id of a user.

        Raises:
            UnknownUserError: no such user.
        """
        found = self.find(name)
        if found is None:
            raise UnknownUserError(name)
        return found.id

    def names(self, ids: Iterable[int]) -> dict[int, str]:
        """The names of these users."""
        with self._read.begin() as connection:
            found = connection.execute(select(users.c.id, users.c.name).where(users.c.id.in_(set(ids))))
            return {row.id: row.name for row in found}

    # -- changing ------------------------------------------------------------------------------------

    def set_password(self, name: str, password_hash: str, *, revoke_tokens: bool = False) -> str:
        """Give a user another password, and end their sessions.

        Args:
            revoke_tokens: revoke their access tokens for machines as well.

        Returns:
            the user's own spelling of the name, as the other methods do.

        Raises:
            UnknownUserError: no such user.
        """
        with self._write.begin() as connection:
            row = locked_row(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(password_hash=password_hash))
            connection.execute(delete(sessions).where(sessions.c.user_id == row.id))
            if revoke_tokens:
                connection.execute(delete(machine_tokens).where(machine_tokens.c.user_id == row.id))
        return str(row.name)

    def set_role(self, name: str, role: Role) -> tuple[str, Role]:
        """Give a user another role. Returns the name and the role before.

        Raises:
            UnknownUserError: no such user.
        """
        with self._write.begin() as connection:
            row = locked_row(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(role=role))
        return row.name, Role(row.role)

    def disable(self, name: str) -> str:
        """End a user's sessions and refuse their logins and tokens. Submissions stay.

        Raises:
            UnknownUserError: no such user.
        """
        since = func.coalesce(users.c.disabled_at, self._clock())
        with self._write.begin() as connection:
            row = locked_row(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(disabled_at=since))
            connection.execute(delete(sessions).where(sessions.c.user_id == row.id))
        return str(row.name)

    def enable(self, name: str) -> str:
        """Undo `disable`.

        Raises:
            UnknownUserError: no such user.
        """
        with self._write.begin() as connection:
            row = locked_row(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(disabled_at=None))
        return str(row.name)

    def replace_hash(self, user_id: int, old: str, new: str) -> None:
        """Store a new hash of the same password, unless the password was changed in the meantime."""
        with self._write.begin() as connection:
            connection.execute(
                update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
            )

    def change_password(self, user_id: int, old: str, new: str, session: str) -> bool:
        """Replace the hash of a password by that of another one, and end the user's other sessions.

        Returns:
            whether it was done; not if the password was changed in the meantime.
        """
        with self._write.begin() as connection:
            changed = connection.execute(
                update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
            )
            if not changed.rowcount:
                return False
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != session))
        return True

    def remove(self, name: str, *, with_submissions: bool = False) -> tuple[str, int]:
        """Delete a user, and everything that is only theirs.

        Args:
            with_submissions: delete their submissions as well, if all of them have a verdict.

        Returns:
            the name, and how many submissions were deleted.

        Raises:
            UnknownUserError: no such user.
            OwnsSubmissionsError: the submissions would be orphaned, or are still being judged.
        """
        with self._write.begin() as connection:
            row = locked_row(connection, name)
            owned = submissions.c.owner_id == row.id
            unfinished = func.count(case((submissions.c.final_status.is_(None), 1)))
            count, waiting = connection.execute(select(func.count(), unfinished).where(owned)).one()
            if waiting or (count and not with_submissions):
                raise OwnsSubmissionsError(count, waiting)
            delete_referring(connection, submissions.c.id, select(submissions.c.id).where(owned))
            delete_referring(connection, users.c.id, row.id)
            connection.execute(delete(users).where(users.c.id == row.id))
            release_name(connection, row.name)
        return row.name, count
