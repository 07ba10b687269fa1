"""Who may use a database: any number of processes that Redis joins, or a single one without it.

Without Redis no process hears what another one commits. A watcher would get a verdict from elsewhere at the next
comparison with the log, half a minute late, a cancellation would reach the judge with its next renewal, and every limit
would count for one process only. So each process holds a lock as long as it runs, shared with Redis and exclusive
without. It belongs to the connection or the open file, so it ends with the process, however that dies.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from subcli.server.log.database import reading
from subcli.server.settings import ServeError

_log: Final = logging.getLogger(__name__)
_LOCK: Final = 0x73756265
_EXIT_S: Final = 1.0
"""How long the end waits for a check that PostgreSQL does not answer."""
_CHECK_S: Final = 5.0
"""How often the connection that holds the lock is checked: PostgreSQL may restart and forget it."""


@contextmanager
def using(engine: Engine, *, joined: bool) -> Iterator[None]:
    """Use a database while this context lasts.

    Args:
        engine: from `open_database`.
        joined: whether Redis joins this process to the others.

    Raises:
        ServeError: others use the database, and Redis does not join this process to them.
    """
    shown = engine.url.render_as_string(hide_password=True)
    if joined:
        refusal = ServeError(
            f"A server without --redis uses the database {shown}, so no other process can use it.",
            "Restart that server with the same --redis URL, or choose another database.",
        )
    else:
        refusal = ServeError(
            f"Another server uses the database {shown}; several processes on one database need --redis.",
            "Give all of them the same --redis URL, stop the other one, or choose another database.",
        )
    if engine.dialect.name == "postgresql":
        with _PostgresLock(engine, joined, refusal).held():
            yield
    else:
        with _file_lock(engine, joined, refusal):
            yield


@contextmanager
def _file_lock(engine: Engine, joined: bool, refusal: ServeError) -> Iterator[None]:
    """Lock a file beside the database: SQLite locks the database's own file in its own way."""
    with reading(engine).connect() as connection:
        databases = connection.exec_driver_sql("PRAGMA database_list")
        path = next(row.file for row in databases if row.name == "main")
    with ExitStack() as stack:
        # A database in memory has no path, and no other process.
        if path:
            lock: IO[bytes] = stack.enter_context(open(f"{path}.lock", "ab"))
            try:
                fcntl.flock(lock, fcntl.LOCK_NB | (fcntl.LOCK_SH if joined else fcntl.LOCK_EX))
            except BlockingIOError:
                raise refusal from None
        yield


class _PostgresLock:
    """An advisory lock on a connection of its own, taken again when that is lost."""

    def __init__(self, engine: Engine, joined: bool, refusal: ServeError) -> None:
        self._engine = engine
        self._function = "pg_try_advisory_lock_shared" if joined else "pg_try_advisory_lock"
        self._refusal = refusal
        self._connection: Connection | None = None
        self._is_over = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        self._take()
        checking = threading.Thread(target=self._keep, name="database-lock", daemon=True)
        checking.start()
        try:
            yield
        finally:
            self._is_over.set()
            checking.join(_EXIT_S)
            self._release()

    def _take(self) -> None:
        """Raises ServeError if others hold it, and SQLAlchemyError."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection = connection
        # Otherwise a host that vanished would hold it for hours: the server asks whether the client is still there.
        for name, value in (("idle", "5"), ("interval", "5"), ("count", "2")):
            connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
        if not connection.execute(text(f"SELECT {self._function}(:key)"), {"key": _LOCK}).scalar_one():
            self._release()
            raise self._refusal

    def _release(self) -> None:
        """Close the connection itself: in the pool it would still hold the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _keep(self) -> None:
        while not self._is_over.wait(_CHECK_S):
            try:
                if self._connection is None:
                    self._take()
                else:
                    self._connection.execute(text("SELECT 1"))
            except ServeError as error:
                _log.error("%s", error)
            except SQLAlchemyError:
                # The database is away, which is logged elsewhere.
                self._release()
