"""A server's database, for the commands that work on it directly, with the server running or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from subcli.cli.commands.server.options import data_directory, given_or_in_file
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.server import ServeError, ServerSettings
from subcli.server.log.database import connect, open_database
from subcli.server.run.startup import make_data_dir


@contextmanager
def opened_database(
    streams: Streams, data_dir: Path | None, database: str | None, *, create: bool = True
) -> Iterator[Engine]:
    """The server's database, brought up to date.

    Args:
        create: whether it is made if it is not there.

    Raises:
        UsageError: it cannot be opened, or fails.
    """
    settings = _settings(streams, data_dir, database)
    try:
        if not create:
            _require_file(connect(settings.database_url))
        elif settings.database is None:
            make_data_dir(settings.data_dir)
        engine = open_database(settings.database_url)
    except ServeError as error:
        raise UsageError(error.message, hint=error.hint) from None
    with _used(engine):
        yield engine


@contextmanager
def existing_database(streams: Streams, data_dir: Path | None, database: str | None) -> Iterator[Engine]:
    """The server's database as it is: neither created nor brought up to date, as its server may be an older one.

    Raises:
        UsageError: there is none, or it fails.
    """
    try:
        engine = connect(_settings(streams, data_dir, database).database_url)
    except ServeError as error:
        raise UsageError(error.message, hint=error.hint) from None
    _require_file(engine)
    with _used(engine):
        yield engine


def _require_file(engine: Engine) -> None:
    """
    Raises:
        UsageError: it is SQLite's, and there is no such file; or it would be one in memory.
    """
    if engine.dialect.name == "sqlite":
        path = engine.url.database or ":memory:"
        if path == ":memory:" or not Path(path).is_file():
            hint = "`--data-dir` or `--database` says where it is."
            raise UsageError(f"There is no database at {path}.", hint=hint)


def sqlite_file(engine: Engine) -> Path | None:
    """Where the database is; ``None`` if it is no file of SQLite."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    return Path(engine.url.database)


def operator() -> str:
    """The account that runs this command."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _settings(streams: Streams, data_dir: Path | None, database: str | None) -> ServerSettings:
    database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
    return ServerSettings(data_directory(data_dir, database), database=database)


@contextmanager
def _used(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise UsageError(f"The database failed: {cause}.", hint="Try again.") from None
    finally:
        engine.dispose()
