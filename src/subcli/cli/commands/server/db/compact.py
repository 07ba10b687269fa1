"""``subcli db compact``: give the space of what was packed or deleted back to the file system."""

from __future__ import annotations

import time
from pathlib import Path

from subcli.cli import exits
from subcli.cli.commands.server.database import opened_database, sqlite_file
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError
from subcli.output.text.words import byte_size
from subcli.server import ServeError, ServerLimits
from subcli.server.log.database import rewrite
from subcli.server.log.packer import Packer
from subcli.server.log.sharing import using


def compact(common: Common, streams: Streams, data_dir: Path | None, database: str | None) -> int:
    """Pack the logs of all that ended a day ago, and rewrite the file.

    Raises:
        UsageError: A server runs, or the database is PostgreSQL's.
    """
    with opened_database(streams, data_dir, database, create=False) as engine:
        path = sqlite_file(engine)
        if path is None:
            raise UsageError(
                "PostgreSQL reuses its space by itself, so nothing was done.",
                hint="To give it back, run in psql: VACUUM FULL events.",
            )
        before = path.stat().st_size
        try:
            with using(engine, joined=False):
                packer = Packer(engine, time.time)
                while packer.pack_some(ServerLimits().pack_after_s):
                    pass
                rewrite(engine)
        except ServeError:
            raise UsageError(f"A server uses {path}.", hint="Stop it first: the whole file is rewritten.") from None
        after = path.stat().st_size
    if common.json:
        streams.print_json({"compact": {"before_bytes": before, "after_bytes": after}})
    elif not common.quiet:
        streams.write(f"{path} has {byte_size(after)} now, and had {byte_size(before)}.\n")
    return exits.OK
