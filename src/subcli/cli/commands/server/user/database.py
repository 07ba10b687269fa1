"""The users in a server's database, for the commands that change them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from subcli.cli.commands.server.options import data_directory, given_or_in_file
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, UsageError
from subcli.server import ServeError, ServerSettings
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import Users
from subcli.server.log.database import open_database
from subcli.server.observe import audit
from subcli.server.run.startup import make_data_dir


@contextmanager
def opened(streams: Streams, data_dir: Path | None, database: str | None, name: str = "") -> Iterator[Users]:
    """The users in the server's database.

    Args:
        name: the user whom the command is about, for the error if there is none.

    Raises:
        UsageError: the database cannot be opened, or fails.
        NotFoundError: there is no such user.
    """
    database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
    settings = ServerSettings(data_directory(data_dir, database), database=database)
    try:
        if settings.database is None:
            make_data_dir(settings.data_dir)
        engine = open_database(settings.database_url)
    except ServeError as error:
        raise UsageError(error.message, hint=error.hint) from None
    try:
        yield Users(engine, time.time)
    except UnknownUserError:
        raise NotFoundError(f"There is no user {name[:64]}.", hint="`subcli user list` shows them.") from None
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise UsageError(f"The database failed: {cause}.", hint="Try again.") from None
    finally:
        engine.dispose()


def record(what: str, name: str, **more: Any) -> None:
    """Write to the audit log what was done, and by whom."""
    import pwd

    try:
        operator = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        operator = str(os.getuid())
    audit.record(what, "done", user=name, by=operator, **more)
