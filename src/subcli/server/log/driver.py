"""Transactions with the database's own driver, for the statements of every event.

SQLAlchemy takes 46 µs for a transaction in which nothing happens and about 30 µs for each statement, SQLite 40 µs for
all that an event needs. So appending is written in SQL. The pool, the settings of a connection and the exceptions are
still SQLAlchemy's: to a caller such a transaction fails as every other one does.

The pool takes as long again to lend a connection and to take it back, and asks PostgreSQL each time whether it is
still there. So `Writer` keeps the one on which events are appended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

T = TypeVar("T")

_MARKS: Final = {"sqlite": "?", "postgresql": "%s"}


class Statements(Protocol):
    """A transaction that takes SQL as its driver does. SQLAlchemy's `Connection` is one as well."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL that is."""

    def exec_driver_sql(self, statement: str, parameters: Any, /) -> Any:
        """Execute a statement with a tuple of parameters, or once with each of a list of them."""


class DriverTransaction:
    """A transaction on the driver's cursor."""

    def __init__(self, dialect: Dialect, cursor: DBAPICursor) -> None:
        self.dialect = dialect
        self._cursor = cursor

    def exec_driver_sql(self, statement: str, parameters: Any, /) -> DBAPICursor:
        if isinstance(parameters, list):
            self._cursor.executemany(statement, parameters)
        else:
            self._cursor.execute(statement, parameters)
        return self._cursor


@contextmanager
def writing(engine: Engine) -> Iterator[DriverTransaction]:
    """A transaction that will write: committed at the end of the context, or rolled back if that raises.

    Raises:
        SQLAlchemyError: the database refuses, or does not answer.
    """
    connection = engine.raw_connection()
    try:
        yield _begun(engine.dialect, connection.cursor())
        connection.commit()
    except engine.dialect.loaded_dbapi.Error as error:
        raise _translated(engine.dialect, connection, error) from error
    finally:
        # Rolls back what was not committed.
        connection.close()


class Writer:
    """Transactions that write, one at a time, on one connection of the pool.

    A connection that was there for the last transaction is not asked whether it still is. If a transaction finds out
    that it is lost, it begins again on another one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._kept: tuple[PoolProxiedConnection, DBAPICursor] | None = None

    def run(self, work: Callable[[DriverTransaction], T]) -> T:
        """Do some work in a transaction, which is rolled back if that raises.

        Args:
            work: is called again if the connection is lost while it is under way, when nothing can be committed yet.

        Raises:
            SQLAlchemyError: the database refuses, or does not answer.
        """
        with self._turn:
            if self._kept is not None:
                try:
                    return self._commit(*self._kept, work)
                except _LostEarlyError:
                    pass
            connection = self._engine.raw_connection()
            self._kept = connection, connection.cursor()
            try:
                return self._commit(*self._kept, work)
            except _LostEarlyError as lost:
                raise lost.error from lost.error.orig

    def _commit(
        self, connection: PoolProxiedConnection, cursor: DBAPICursor, work: Callable[[DriverTransaction], T]
    ) -> T:
        dialect = self._engine.dialect
        is_committing = False
        try:
            outcome = work(_begun(dialect, cursor))
            is_committing = True
            connection.commit()
            return outcome
        except dialect.loaded_dbapi.Error as error:
            translated = _translated(dialect, connection, error)
            self._let_go()
            if translated.connection_invalidated and not is_committing:
                raise _LostEarlyError(translated) from error
            raise translated from error
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """Give the connection back, which rolls back what was not committed."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[0].close()

    def close(self) -> None:
        """Wait for the transaction that is under way, and give the connection back."""
        with self._turn:
            self._let_go()


class _LostEarlyError(Exception):
    """The connection was lost before COMMIT, so the transaction has changed nothing."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__(error)
        self.error = error


def _begun(dialect: Dialect, cursor: DBAPICursor) -> DriverTransaction:
    if dialect.name == "sqlite":
        cursor.execute("BEGIN IMMEDIATE")
    return DriverTransaction(dialect, cursor)


def _translated(dialect: Dialect, connection: PoolProxiedConnection, error: Exception) -> DBAPIError:
    """The driver's error as SQLAlchemy's. A connection that is lost is not used again."""
    driver: Any = dialect.loaded_dbapi
    is_lost = dialect.is_disconnect(error, connection.driver_connection, None)  # type: ignore[arg-type]
    if is_lost:
        connection.invalidate(error)
    translated = DBAPIError.instance(
        None, None, error, driver.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=dialect
    )
    return cast(DBAPIError, translated)


def marks(dialect: Dialect, count: int) -> str:
    """So many placeholders for parameters."""
    return ", ".join([_MARKS[dialect.name]] * count)


def assignments(dialect: Dialect, columns: Sequence[str]) -> str:
    """`column = placeholder` for each column."""
    return ", ".join([f"{name} = {_MARKS[dialect.name]}" for name in columns])
