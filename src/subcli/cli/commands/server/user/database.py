"""The users in a server's database, for the commands that change them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subcli.cli.commands.server.database import opened_database, operator
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError
from subcli.server.accounts.user_rows import UnknownUserError
from subcli.server.accounts.users import Users
from subcli.server.observe import audit


@contextmanager
def opened(streams: Streams, data_dir: Path | None, database: str | None, name: str = "") -> Iterator[Users]:
    """The users in the server's database.

    Args:
        name: the user whom the command is about, for the error if there is none.

    Raises:
        UsageError: the database cannot be opened, or fails.
        NotFoundError: there is no such user.
    """
    try:
        with opened_database(streams, data_dir, database) as engine:
            yield Users(engine, time.time)
    except UnknownUserError:
        raise NotFoundError(f"There is no user {name[:64]}.", hint="`subcli user list` shows them.") from None


def record(what: str, name: str, **more: Any) -> None:
    """Write to the audit log what was done, and by whom."""
    audit.record(what, "done", user=name, by=operator(), **more)
