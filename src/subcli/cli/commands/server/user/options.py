"""What the commands of ``subcli user`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from subcli.cli.commands.server.options import require_server_extra, start_audit_log
from subcli.cli.common import written
from subcli.cli.streams import Streams

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", callback=written, help="Data directory of the server."),
]


def begin(streams: Streams, audit_log: str | None) -> None:
    """Check for the extra `server`, and write to the audit log from now on."""
    require_server_extra(streams)
    start_audit_log(audit_log)
