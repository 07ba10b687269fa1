"""The users in a server's database, for the commands that change them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from subcli.cli.commands.server.database import opened_database, operator
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError
from subcli.server.accounts.groups import Groups, UnknownGroupError
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import Users
from subcli.server.observe import audit


@contextmanager
def opened(streams: Streams, data_dir: Path | None, database: str | None) -> Iterator[Users]:
    """The users in the server's database.

    Raises:
        UsageError: the database cannot be opened, or fails.
        NotFoundError: there is no such user.
    """
    with _opened_engine(streams, data_dir, database) as engine:
        yield Users(engine, time.time)


@contextmanager
def opened_groups(streams: Streams, data_dir: Path | None, database: str | None) -> Iterator[Groups]:
    """The groups of these users. Raises what `opened` does, and NotFoundError if there is no such group."""
    try:
        with _opened_engine(streams, data_dir, database) as engine:
            yield Groups(engine)
    except UnknownGroupError as error:
        hint = "`subcli user group list` shows them."
        raise NotFoundError(f"There is no group {error.name[:64]}.", hint=hint) from None


@contextmanager
def _opened_engine(streams: Streams, data_dir: Path | None, database: str | None) -> Iterator[Engine]:
    """The server's database. Raises what `opened` does."""
    try:
        with opened_database(streams, data_dir, database) as engine:
            yield engine
    except UnknownUserError as error:
        raise NotFoundError(f"There is no user {error.name[:64]}.", hint="`subcli user list` shows them.") from None


def record(what: str, name: str, **more: Any) -> None:
    """Write to the audit log what was done, and by whom."""
    audit.record(what, "done", user=name, by=operator(), **more)
