"""``subcli user group``: the group, and the options of its commands, whose code is imported when one is called."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import AuditLog, Database, require_server_extra
from subcli.cli.commands.server.user.options import DataDir, begin
from subcli.cli.common import Common, command
from subcli.cli.common import group as make_group
from subcli.cli.streams import Streams

Group: TypeAlias = Annotated[str, typer.Argument(metavar="GROUP")]


def register_groups(user: typer.Typer) -> None:
    """Register the commands."""
    summary = "Put users into groups, such as the students of a class."
    group = make_group(user, "group", summary=summary, example="subcli user group add monday ada bob")

    @command(group, "add", codes=(*exits.LOCAL, 5), example="subcli user group add monday ada bob")
    def add(
        common: Common,
        streams: Streams,
        name: Group,
        users: Annotated[list[str], typer.Argument(metavar="NAME...", help="Users to add.")],
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Add users to a group, which is created if necessary."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.groups import add as run

        return run(common, streams, name, users, data_dir, database)

    @command(
        group,
        "remove",
        codes=(*exits.LOCAL, 5),
        example="subcli user group remove monday bob\nsubcli user group remove monday",
    )
    def remove(
        common: Common,
        streams: Streams,
        name: Group,
        users: Annotated[
            list[str] | None,
            typer.Argument(metavar="[NAME]...", help="Users to remove. Default: all, and with them the group."),
        ] = None,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Remove users from a group; their accounts are kept."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.groups import remove as run

        return run(common, streams, name, users or (), data_dir, database)

    @command(group, "list", codes=exits.LOCAL, example="subcli user group list --json")
    def list_groups(common: Common, streams: Streams, data_dir: DataDir = None, database: Database = None) -> int:
        """List groups with their members."""
        require_server_extra(streams)
        from subcli.cli.commands.server.user.groups import list_groups as run

        return run(common, streams, data_dir, database)
