"""Users: what operators do with them, and what a login looks up.

The methods block; `Store.run` calls them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from subcli.server.accounts.names import is_valid, name_key
from subcli.server.accounts.permissions import Role
from subcli.server.log.database import reading
from subcli.server.log.tables import metadata, sessions, submissions, users

_PER_QUERY: Final = 500


class UserExistsError(Exception):
    """A user with this name already exists. Carries that name as the user spells it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class UnknownUserError(LookupError):
    """No user with this name exists."""


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


@dataclass(frozen=True, slots=True)
class Account:
    """What a login needs to know about a user. `name` is the user's own spelling."""

    id: int
    name: str
    password_hash: str
    is_disabled: bool


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
                for taken in _taken(connection, names).values():
                    raise UserExistsError(taken)
                connection.execute(insert(users), rows)
        except IntegrityError:
            # Another process has added one of them at the same moment.
            raise UserExistsError(next(iter(self.taken(names).values()), names[0])) from None

    def taken(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these names that users have already, each with that user's spelling of it."""
        with self._read.begin() as connection:
            return _taken(connection, names)

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
            row = _find(connection, name)
        return None if row is None else Account(row.id, row.name, row.password_hash, row.disabled_at is not None)

    def id_of(self, name: str) -> int:
        """The id of a user.

        Raises:
            UnknownUserError: no such user.
        """
        found = self.find(name)
        if found is None:
            raise UnknownUserError
        return found.id

    def names(self, ids: Iterable[int]) -> dict[int, str]:
        """The names of these users."""
        with self._read.begin() as connection:
            found = connection.execute(select(users.c.id, users.c.name).where(users.c.id.in_(set(ids))))
            return {row.id: row.name for row in found}

    # -- changing ------------------------------------------------------------------------------------

    def set_password(self, name: str, password_hash: str) -> str:
        """Give a user another password, and end their sessions.

        Returns:
            the user's own spelling of the name, as the other methods do.

        Raises:
            UnknownUserError: no such user.
        """
        return self._change(name, end_sessions=True, password_hash=password_hash)

    def set_role(self, name: str, role: Role) -> tuple[str, Role]:
        """Give a user another role. Returns the name and the role before.

        Raises:
            UnknownUserError: no such user.
        """
        with self._write.begin() as connection:
            row = _locked(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(role=role))
        return row.name, Role(row.role)

    def disable(self, name: str) -> str:
        """End a user's sessions and refuse their logins and tokens. Submissions stay.

        Raises:
            UnknownUserError: no such user.
        """
        return self._change(name, end_sessions=True, disabled_at=func.coalesce(users.c.disabled_at, self._clock()))

    def enable(self, name: str) -> str:
        """Undo `disable`.

        Raises:
            UnknownUserError: no such user.
        """
        return self._change(name, end_sessions=False, disabled_at=None)

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
            row = _locked(connection, name)
            owned = submissions.c.owner_id == row.id
            unfinished = func.count(case((submissions.c.final_status.is_(None), 1)))
            count, waiting = connection.execute(select(func.count(), unfinished).where(owned)).one()
            if waiting or (count and not with_submissions):
                raise OwnsSubmissionsError(count, waiting)
            _delete_referring(connection, submissions.c.id, select(submissions.c.id).where(owned))
            _delete_referring(connection, users.c.id, row.id)
            connection.execute(delete(users).where(users.c.id == row.id))
            _release(connection, row.name)
        return row.name, count

    def _change(self, name: str, *, end_sessions: bool, **values: Any) -> str:
        with self._write.begin() as connection:
            row = _locked(connection, name)
            connection.execute(update(users).where(users.c.id == row.id).values(**values))
            if end_sessions:
                connection.execute(delete(sessions).where(sessions.c.user_id == row.id))
        return str(row.name)


def _find(connection: Connection, name: str, *, lock: bool = False) -> Row[Any] | None:
    """The row of the user with this name. Of two with one name in two spellings, the one who spells it so."""
    key = name_key(name)
    if not is_valid(key):
        return None
    query = (
        select(users)
        .where(or_(users.c.name_key == key, users.c.name == name), users.c.password_hash.is_not(None))
        .order_by(case((users.c.name == name, 0), else_=1))
        .limit(1)
    )
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def _locked(connection: Connection, name: str) -> Row[Any]:
    row = _find(connection, name, lock=True)
    if row is None:
        raise UnknownUserError
    return row


def _taken(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    by_key = {name_key(name): name for name in names}
    keys = list(by_key)
    found: dict[str, str] = {}
    for start in range(0, len(keys), _PER_QUERY):
        chunk = keys[start : start + _PER_QUERY]
        # Names are ASCII, so `lower` is enough for those that have no key.
        has_name = or_(users.c.name_key.in_(chunk), users.c.name_key.is_(None) & func.lower(users.c.name).in_(chunk))
        for (name,) in connection.execute(select(users.c.name).where(has_name)):
            found[by_key[name_key(name)]] = name
    return found


def _delete_referring(connection: Connection, target: ColumnElement[Any], values: Any) -> None:
    """Delete the rows of every table that refer to these values of a column, and what refers to those by a cascade."""
    for table in reversed(metadata.sorted_tables):
        for key in table.foreign_keys:
            if key.column is target:
                chosen = key.parent == values if isinstance(values, int) else key.parent.in_(values)
                connection.execute(delete(table).where(chosen))


def _release(connection: Connection, name: str) -> None:
    """If another user has the name in another spelling, all spellings are theirs from now on."""
    key = name_key(name)
    left = select(users.c.id).where(users.c.name_key.is_(None), func.lower(users.c.name) == key)
    taken = connection.execute(select(users.c.id).where(users.c.name_key == key)).first()
    if taken is None and (first := connection.execute(left.order_by(users.c.id).limit(1)).first()) is not None:
        connection.execute(update(users).where(users.c.id == first.id).values(name_key=key))
