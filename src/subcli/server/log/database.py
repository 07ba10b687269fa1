"""The engine and its schema. The one place that knows which database it is.

SQLite is set here to behave as the rest expects of any database: a transaction that will write takes the
write lock when it begins (so that it waits for others instead of failing half-way), readers are not held up
by the writer (WAL), and a lock is waited for. PostgreSQL is told to wait no longer than that for anything.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from importlib.resources import as_file, files
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from subcli.server.log.tables import REVISION
from subcli.server.settings import ServeError

LOCK_WAIT: Final = 10.0
"""Seconds that a transaction waits for a lock."""
_MIGRATION_LOCK: Final = 0x73756263
_QUEUE_LOCK: Final = 0x73756264
_PSYCOPG: Final = {
    "application_name": "subcli",
    "connect_timeout": 5,
    # A host that is gone without a word is noticed after some 15 s, also in the middle of a query.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""How libpq connects, in seconds save the last."""
_READING: Final = "subcli_reading"


def _reason(error: Exception) -> str:
    """Why a URL cannot be used. Not in the library's words: they hold the URL, and with it the password."""
    if isinstance(error, NoSuchModuleError):
        return "there is no such kind of database or driver"
    if isinstance(error, ImportError):
        return "its driver is not installed"
    return "it is no URL of a database"


def open_database(url: str) -> Engine:
    """An engine on an up-to-date schema.

    Raises:
        ServeError: the URL names no database that can be used, or the schema cannot be brought up to date.
    """
    try:
        engine = _engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise ServeError(
            f"The database URL cannot be used: {_reason(error)}.",
            # Without USER@, which would be taken for a secret and masked.
            "Give one such as sqlite:////path/to/subcli.db or postgresql+psycopg://HOST/NAME.",
        ) from error
    if engine.dialect.name == "sqlite":
        _make_private(engine.url.database)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _set_up_postgresql)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        migrate(engine)
    except BaseException as error:
        engine.dispose()
        if not isinstance(error, SQLAlchemyError | sqlite3.Error):
            raise
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ServeError(
            f"The database {shown} cannot be opened: {cause}.",
            "Check that it is there, that it may be written, and that nothing else holds it locked.",
        ) from error
    return engine


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    options: dict[str, Any] = {}
    if parsed.drivername == "postgresql+psycopg":
        # What the URL says itself counts more.
        options = {name: value for name, value in _PSYCOPG.items() if name not in parsed.query}
    is_file = parsed.get_backend_name() == "sqlite"
    return create_engine(parsed, pool_pre_ping=not is_file, hide_parameters=True, connect_args=options)


def reading(engine: Engine) -> Engine:
    """`engine` for transactions that only read: they take no write lock."""
    return engine.execution_options(**{_READING: True})


def migrate(engine: Engine) -> None:
    """Bring the schema up to date. Several processes may do so at once: one works, the others wait.

    Raises:
        ServeError: it is from a newer version.
        SQLAlchemyError: the database does not do it.
    """
    if _is_up_to_date(engine):
        return
    # Imported in a fifth of a second, and most starts find the schema as it should be.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    with as_file(files("subcli.server.log") / "migrations") as scripts, engine.begin() as connection:
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ServeError(
                "The database is from a newer subcli: its schema is none that this one knows.",
                "Update subcli, or name another database or data directory.",
            ) from error


def _is_up_to_date(engine: Engine) -> bool:
    # As one that writes: where nobody can, it is better to say so now.
    with engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [REVISION]


def lock_queue(connection: Connection) -> None:
    """Hold off, to the end of the transaction, all others who number those that wait. SQLite does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _QUEUE_LOCK})


def _make_private(path: str | None) -> None:
    """Make the file for its owner only: it holds password hashes. What goes wrong, opening it will say."""
    if path and path != ":memory:":
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    # A commit survives the death of the process at any moment; fsync at every commit would only add the
    # death of the machine, at several milliseconds an event.
    connection.execute("PRAGMA synchronous = NORMAL")
    _use_wal(connection)


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT:g}s'")
        # A process that was frozen in a transaction must not hold up the others with its locks.
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
    connection.commit()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. SQLite does not wait for the lock that this takes; so we do."""
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
