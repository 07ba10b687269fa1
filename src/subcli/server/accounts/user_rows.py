"""Rows of users, found by any spelling of their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, case, func, or_, select, update

from subcli.server.accounts.names import is_valid, name_key
from subcli.server.log.tables import users

_PER_QUERY: Final = 500


class UnknownUserError(LookupError):
    """No user with this name exists. Carries the name, as it was given."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.name = name


def find_row(connection: Connection, name: str, *, lock: bool = False) -> Row[Any] | None:
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


def locked_row(connection: Connection, name: str) -> Row[Any]:
    """The same, locked until the end of the transaction.

    Raises:
        UnknownUserError: no such user.
    """
    row = find_row(connection, name, lock=True)
    if row is None:
        raise UnknownUserError(name)
    return row


def taken_names(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Those of these names that users have already, each with that user's spelling of it."""
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


def release_name(connection: Connection, name: str) -> None:
    """If another user has the name in another spelling, all spellings are theirs from now on."""
    key = name_key(name)
    left = select(users.c.id).where(users.c.name_key.is_(None), func.lower(users.c.name) == key)
    taken = connection.execute(select(users.c.id).where(users.c.name_key == key)).first()
    if taken is None and (first := connection.execute(left.order_by(users.c.id).limit(1)).first()) is not None:
        connection.execute(update(users).where(users.c.id == first.id).values(name_key=key))
