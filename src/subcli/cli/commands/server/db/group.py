"""``subcli db``: the group, and the options of its commands, whose code is imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import AuditLog, Database, require_server_extra, start_audit_log
from subcli.cli.common import Common, command, written
from subcli.cli.common import group as make_group
from subcli.cli.lifetime import duration
from subcli.cli.streams import Streams

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", callback=written, help="Data directory of the server."),
]
_CHECKING: Final = (*exits.LOCAL, 6)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    summary = "Look after a server's database."
    group = make_group(app, "db", summary=summary, example="subcli db check")
    _register_check(group)
    _register_backup(group)
    _register_prune(group)
    _register_compact(group)


def _register_check(group: typer.Typer) -> None:
    @command(
        group, "check", codes=_CHECKING, example="subcli db check\nsubcli db check --database sqlite:////srv/backup.db"
    )
    def check(common: Common, streams: Streams, data_dir: DataDir = None, database: Database = None) -> int:
        """Check that the database is sound."""
        require_server_extra(streams)
        from subcli.cli.commands.server.db.check import check as run

        return run(common, streams, data_dir, database)


def _register_backup(group: typer.Typer) -> None:
    @command(group, "backup", codes=_CHECKING, example="subcli db backup /srv/backups/subcli-$(date +%F).db")
    def backup(
        common: Common,
        streams: Streams,
        file: Annotated[Path, typer.Argument(metavar="FILE", callback=written, help="A new file.")],
        data_dir: DataDir = None,
        database: Database = None,
    ) -> int:
        """Copy the database while it is used, or say how."""
        require_server_extra(streams)
        from subcli.cli.commands.server.db.backup import backup as run

        return run(common, streams, file, data_dir, database)


def _register_prune(group: typer.Typer) -> None:
    @command(
        group,
        "prune",
        codes=exits.LOCAL,
        example="subcli db prune --older-than 180d\nsubcli db prune --older-than 180d --keep verdicts --yes",
    )
    def prune(
        common: Common,
        streams: Streams,
        older_than: Annotated[
            int,
            typer.Option(
                "--older-than", metavar="TIME", parser=duration, help="How long ago the verdict came: 12h, 180d or 52w."
            ),
        ],
        keep: Annotated[
            Literal["verdicts"] | None,
            typer.Option("--keep", metavar="WHAT", help="verdicts: delete only code, results and output."),
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise only count.")] = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Delete old submissions, or count them without `--yes`."""
        require_server_extra(streams)
        start_audit_log(audit_log)
        from subcli.cli.commands.server.db.prune import prune as run

        return run(*(common, streams, older_than, data_dir, database), keep_verdicts=keep is not None, really=yes)


def _register_compact(group: typer.Typer) -> None:
    @command(group, "compact", codes=exits.LOCAL, example="systemctl stop subcli && subcli db compact")
    def compact(common: Common, streams: Streams, data_dir: DataDir = None, database: Database = None) -> int:
        """Shrink the file of a stopped server (SQLite)."""
        require_server_extra(streams)
        from subcli.cli.commands.server.db.compact import compact as run

        return run(common, streams, data_dir, database)
