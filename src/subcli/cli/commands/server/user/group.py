"""``subcli user``: the group, and the options of its commands, whose code is imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import AuditLog, Database, require_server_extra
from subcli.cli.commands.server.user.membership import register_groups
from subcli.cli.commands.server.user.options import DataDir, begin
from subcli.cli.common import Common, command, written
from subcli.cli.common import group as make_group
from subcli.cli.streams import Streams

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME")]
PasswordStdin: TypeAlias = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin, one line.")
]
RoleName: TypeAlias = Literal["student", "teacher", "admin"]
_OF_ONE: Final = (*exits.LOCAL, 5)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    summary = "Manage a server's users."
    group = make_group(app, "user", summary=summary, example="subcli user list")
    _register_additions(group)
    _register_changes(group)
    _register_removal(group)
    register_groups(group)


def _register_additions(group: typer.Typer) -> None:
    @command(
        group,
        "add",
        codes=exits.LOCAL,
        example="subcli user add ada\nsubcli user add ada --role teacher --password-stdin < password.txt",
    )
    def add(
        common: Common,
        streams: Streams,
        name: Name,
        role: Annotated[
            RoleName, typer.Option("--role", metavar="ROLE", help="student, teacher or admin.")
        ] = "student",
        password_stdin: PasswordStdin = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Add a user; prompts for the password."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.passwords import add as run

        return run(common, streams, name, role, data_dir, database, from_stdin=password_stdin)

    @command(
        group,
        "import",
        codes=exits.LOCAL,
        example="subcli user import class.csv --dry-run\nsubcli user import class.csv --output passwords.csv",
    )
    def import_(
        common: Common,
        streams: Streams,
        file: Annotated[
            Path, typer.Argument(metavar="FILE", help="Lines of NAME[,ROLE[,PASSWORD[,GROUP]]]; - for stdin.")
        ],
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                metavar="FILE",
                callback=written,
                help="Write generated passwords to this new file, which only you can read. Default: stdout.",
            ),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Add all users in a CSV file, or none; generates passwords."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.imports import import_users as run

        return run(common, streams, file, output, data_dir, database, dry_run=dry_run)

    @command(group, "list", codes=exits.LOCAL, example="subcli user list --json")
    def list_users(common: Common, streams: Streams, data_dir: DataDir = None, database: Database = None) -> int:
        """List users with their roles and their number of sessions."""
        require_server_extra(streams)
        from subcli.cli.commands.server.user.listing import list_users as run

        return run(common, streams, data_dir, database)


def _register_changes(group: typer.Typer) -> None:
    @command(group, "passwd", codes=_OF_ONE, example="subcli user passwd ada\nsubcli user passwd ada --revoke-tokens")
    def passwd(
        common: Common,
        streams: Streams,
        name: Name,
        password_stdin: PasswordStdin = False,
        revoke_tokens: Annotated[
            bool, typer.Option("--revoke-tokens", help="Revoke the user's access tokens as well.")
        ] = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Give a user another password and end their sessions."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.passwords import passwd as run

        return run(*(common, streams, name, data_dir, database), from_stdin=password_stdin, revoke_tokens=revoke_tokens)

    @command(group, "role", codes=_OF_ONE, example="subcli user role ada teacher")
    def role(
        common: Common,
        streams: Streams,
        name: Name,
        role: Annotated[RoleName, typer.Argument(metavar="ROLE", help="student, teacher or admin.")],
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Change a user's role; teachers see every submission."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.changes import set_role as run

        return run(common, streams, name, role, data_dir, database)


def _register_removal(group: typer.Typer) -> None:
    @command(group, "disable", codes=_OF_ONE, example="subcli user disable ada")
    def disable(
        common: Common,
        streams: Streams,
        name: Name,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """End a user's sessions and refuse their logins."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.changes import disable as run

        return run(common, streams, name, data_dir, database)

    @command(group, "enable", codes=_OF_ONE, example="subcli user enable ada")
    def enable(
        common: Common,
        streams: Streams,
        name: Name,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Let a disabled user log in again."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.changes import enable as run

        return run(common, streams, name, data_dir, database)

    @command(
        group, "remove", codes=_OF_ONE, example="subcli user remove ada\nsubcli user remove ada --with-submissions"
    )
    def remove(
        common: Common,
        streams: Streams,
        name: Name,
        with_submissions: Annotated[
            bool, typer.Option("--with-submissions", help="Delete the user's submissions as well.")
        ] = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Delete a user; to keep submissions, disable the user."""
        begin(streams, audit_log)
        from subcli.cli.commands.server.user.changes import remove as run

        return run(common, streams, name, data_dir, database, with_submissions=with_submissions)
