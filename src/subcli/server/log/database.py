"""The engine and its schema. The only module that knows which database is used.

SQLite is configured to behave as the rest of the server expects of any database: a transaction that will write takes
the write lock when it begins (it waits for others instead of failing half-way), readers are not blocked by the writer
(WAL), and transactions wait for locks. PostgreSQL waits for locks no longer than SQLite does.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, create_engine, delete, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from subcli.server.log.tables import (
    REVISION,
    metadata,
    prepare_for_postgresql,
    schema_changes,
    users,
    versions,
    write_probes,
)
from subcli.server.settings import ServeError

LOCK_TIMEOUT_S: Final = 10.0
"""How long a transaction waits for a lock."""
_MIGRATION_LOCK: Final = 0x73756263
_QUEUE_LOCK: Final = 0x73756264
_PSYCOPG: Final = {
    "application_name": "subcli",
    "connect_timeout": 5,
    # A host that disappears silently is noticed after about 15 s, even in the middle of a query.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq's connection parameters. Seconds, except the last, which is milliseconds."""
_READING: Final = "subcli_reading"
_SHRINKING: Final = "PRAGMA auto_vacuum = INCREMENTAL"


def _reason(error: Exception) -> str:
    """Say why a URL cannot be used. The library's own message contains the URL, and with it the password."""
    if isinstance(error, NoSuchModuleError):
        return "unknown kind of database or driver"
    if isinstance(error, ImportError):
        return "its driver is not installed"
    return "it is not a valid database URL"


def open_database(url: str) -> Engine:
    """Open a database and bring its schema up to date.

    Raises:
        ServeError: the URL cannot be used, or the schema cannot be brought up to date.
    """
    engine = connect(url)
    if engine.dialect.name == "sqlite":
        _make_private(engine.url.database)
    with opening(engine):
        migrate(engine)
    return engine


def connect(url: str) -> Engine:
    """Return an engine for a database, which is neither opened nor migrated yet.

    Raises:
        ServeError: the URL cannot be used.
    """
    try:
        engine = _engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise ServeError(
            f"The database URL cannot be used: {_reason(error)}.",
            # Without USER@, which would be masked as a secret.
            "Use a URL such as sqlite:////path/to/subcli.db or postgresql+psycopg://HOST/NAME.",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        prepare_for_postgresql()
        event.listen(engine, "connect", _set_up_postgresql)
    return engine


@contextmanager
def opening(engine: Engine) -> Iterator[None]:
    """In this context, errors of the database mean that it cannot be opened. The engine is disposed of then.

    Raises:
        ServeError: it cannot be opened.
    """
    try:
        yield
    except BaseException as error:
        engine.dispose()
        if not isinstance(error, SQLAlchemyError | sqlite3.Error):
            raise
        shown = engine.url.render_as_string(hide_password=True)
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ServeError(
            f"The database {shown} cannot be opened: {cause}.",
            "Check that it exists, that it is writable, and that no other process has locked it.",
        ) from error


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    options: dict[str, Any] = {}
    if parsed.drivername == "postgresql+psycopg":
        # Parameters in the URL take precedence.
        options = {name: value for name, value in _PSYCOPG.items() if name not in parsed.query}
    is_file = parsed.get_backend_name() == "sqlite"
    return create_engine(parsed, pool_pre_ping=not is_file, hide_parameters=True, connect_args=options)


def reading(engine: Engine) -> Engine:
    """Return `engine` for read-only transactions, which take no write lock."""
    return engine.execution_options(**{_READING: True})


def has_rows(reader: Engine, query: Select[*tuple[Any, ...]]) -> bool:
    """Return whether a query finds anything, without the lock of a writer.

    Args:
        reader: from `reading`.
    """
    with reader.begin() as connection:
        return connection.execute(query.limit(1)).first() is not None


def migrate(engine: Engine) -> None:
    """Bring the schema up to date. Several processes may do so at once: one migrates, the others wait.

    Raises:
        ServeError: the schema is from a newer version.
        SQLAlchemyError: the database refuses.
    """
    if _is_up_to_date(engine) or _create(engine):
        return
    # Importing Alembic takes 0.2 s, and 15 MB for as long as the process runs.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    with as_file(files("subcli.server.log") / "migrations") as scripts, engine.begin() as connection:
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        _lock_schema(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ServeError(
                "The database was created by a newer subcli: this version does not know its schema.",
                "Update subcli, or use another database or data directory.",
            ) from error
        # What an older server does not know must not happen while it may still run (subcli.server.log.packer).
        connection.execute(delete(schema_changes).where(schema_changes.c.revision == REVISION))
        connection.execute(insert(schema_changes).values(revision=REVISION, changed_at=time.time()))


def _is_up_to_date(engine: Engine) -> bool:
    # In a transaction that takes the write lock: a database that is not writable should fail now.
    with engine.begin() as connection:
        return revisions(connection) == [REVISION]


def _create(engine: Engine) -> bool:
    """Make the schema of a new database as the migrations would. Returns whether it is up to date now."""
    with engine.begin() as connection:
        _lock_schema(connection)
        if inspect(connection).get_table_names():
            # Another process may have made it meanwhile.
            return revisions(connection) == [REVISION]
        metadata.create_all(connection)
        versions.create(connection)
        connection.execute(insert(versions).values(version_num=REVISION))
        connection.execute(insert(users).values(name="demo", name_key="demo", created_at=time.time()))
        connection.execute(insert(write_probes).values(id=1))
        return True


def revisions(connection: Connection) -> Sequence[str]:
    """Return the revision of the schema, as Alembic stores it; none if there is no schema."""
    if not inspect(connection).has_table(versions.name):
        return []
    return connection.execute(select(versions.c.version_num)).scalars().all()


def _lock_schema(connection: Connection) -> None:
    """Let one process at a time change the schema. SQLite's write lock includes this."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def lock_queue(connection: Connection) -> None:
    """Lock the queue positions until the end of the transaction. SQLite's write lock includes this."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _QUEUE_LOCK})


def shrink(engine: Engine, pages: int) -> None:
    """Give back so many unused pages of SQLite's file, in a transaction of its own.

    Raises:
        SQLAlchemyError: the database refuses.
    """
    # As a script, because `execute` would take the first step only, which gives back one page.
    _execute_alone(engine, f"PRAGMA incremental_vacuum({pages})")


def rewrite(engine: Engine) -> None:
    """Rewrite SQLite's file without what is no longer used. From then on, it can shrink by itself.

    Raises:
        SQLAlchemyError: another process uses it, or there is no space for a second copy.
    """
    _execute_alone(engine, f"{_SHRINKING}; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")


def _execute_alone(engine: Engine, script: str) -> None:
    """Execute statements of SQLite outside of transactions."""
    connection = engine.raw_connection()
    try:
        driver: Any = connection.driver_connection
        driver.executescript(script)
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error, hide_parameters=True) from error
    finally:
        connection.close()


def _make_private(path: str | None) -> None:
    """Create the file readable by its owner only: it holds password hashes. Errors show when it is opened."""
    if path and path != ":memory:":
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # _begin_sqlite begins the transactions, not the driver.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT_S * 1000)}")
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        # Counts only before the first table is made. Without it, a file never shrinks.
        connection.execute(_SHRINKING)
    connection.execute("PRAGMA foreign_keys = ON")
    # A commit survives the death of the process. An fsync at every commit would also cover the death of the
    # machine, at a cost of several milliseconds an event.
    connection.execute("PRAGMA synchronous = NORMAL")
    _use_wal(connection)


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S:g}s'")
        # A process that is frozen in a transaction must not block the others with its locks.
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
    connection.commit()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging. SQLite does not wait for the lock that this takes, so we retry."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
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
    is_reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
