"""``subcli db backup``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from subcli.cli import exits
from subcli.cli.commands.server.database import existing_database, sqlite_file
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import ServerError, UsageError
from subcli.output.text.words import byte_size
from subcli.server.log.backup import DamagedBackupError, back_up, dump_command


def backup(common: Common, streams: Streams, file: Path, data_dir: Path | None, database: str | None) -> int:
    """Copy the database.

    Raises:
        UsageError: There is none, the file cannot be written, or the database is PostgreSQL's.
        ServerError: The database is damaged.
    """
    with existing_database(streams, data_dir, database) as engine:
        source = sqlite_file(engine)
        if source is None:
            raise UsageError(
                "PostgreSQL makes its own backups, so nothing was written.",
                hint=f"Run: {dump_command(engine.url, file)}.",
            )
        try:
            size = back_up(source, file)
        except FileExistsError:
            raise UsageError(f"{file} exists.", hint="Choose another name: a backup replaces no file.") from None
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.", hint="Choose another file.") from None
        except sqlite3.Error as error:
            raise UsageError(f"{source} cannot be copied: {error}.", hint="Try again.") from None
        except DamagedBackupError as error:
            raise ServerError(f"The database is damaged: {error}.", hint="`subcli db check` says more.") from None
    if common.json:
        streams.print_json({"backup": {"file": str(file), "database": str(source), "size_bytes": size}})
    elif common.quiet:
        streams.write(f"{file}\n")
    else:
        streams.write(f"Copied {source} to {file}, {byte_size(size)}. The signing key is not in it.\n")
    return exits.OK
