"""A copy of a SQLite database that is in use; and how PostgreSQL makes its own.

SQLite's online backup copies a state that a transaction could see, with everything that is still in the write-ahead
log. Copying the file would give neither. Readers do not block writers, so a running server notices nothing.
"""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from subcli.shared.files import new_file

_BUSY_S: Final = 10.0


class DamagedBackupError(Exception):
    """The copy is damaged, and so is the original. Carries what SQLite says."""


def back_up(database: Path, target: Path) -> int:
    """Copy a SQLite database to a new file that only its owner can read: it contains hashes of passwords.

    The file appears when it is complete, checked and on the disk.

    Returns:
        its size in bytes.

    Raises:
        DamagedBackupError: SQLite finds the copy damaged.
        FileExistsError: the target exists.
        OSError: the target cannot be written.
        sqlite3.Error: the database cannot be read.
    """
    # `rw`: it is never created; and a database in WAL mode cannot be read without files beside it.
    source_uri = f"{database.absolute().as_uri()}?mode=rw"
    with new_file(target, mode=0o600) as temporary:
        with (
            closing(sqlite3.connect(source_uri, uri=True, timeout=_BUSY_S)) as source,
            closing(sqlite3.connect(temporary)) as copy,
        ):
            # All pages in one step. With several, each write of another process would begin the copy anew.
            source.backup(copy, pages=-1)
            # Otherwise the check would leave files beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            (said, *_) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                raise DamagedBackupError(said)
        return temporary.stat().st_size


def dump_command(url: URL, target: Path) -> str:
    """Return the command line that makes a backup of a PostgreSQL database, without the password.

    What the URL says about the connection is for both: SQLAlchemy and `pg_dump` hand it to the same library.
    """
    # libpq knows no drivers; and what everybody can read in a list of processes must not hold a password.
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    words = [
        "pg_dump",
        "--format=custom",
        f"--file={target}",
        f"--dbname={plain.render_as_string(hide_password=False)}",
    ]
    return shlex.join(words)
