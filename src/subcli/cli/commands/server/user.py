"""``subcli user``: manage the users of a server that runs with ``serve --auth``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import (
    AuditLog,
    Database,
    data_directory,
    given_or_in_file,
    require_server_extra,
    start_audit_log,
)
from subcli.cli.common import Common, command, expanded
from subcli.cli.common import group as make_group
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from subcli.server.accounts.accounts import Accounts, User

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", callback=expanded, help="Data directory of the server."),
]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME")]
_LONGEST_LINE: Final = 8192


def register(app: typer.Typer) -> None:
    """Register the commands."""
    summary = "Manage a server's users."
    group = make_group(app, "user", summary=summary, example="subcli user list")

    @command(
        group,
        "add",
        codes=exits.LOCAL,
        example="subcli user add ada\nsubcli user add ada --password-stdin < password.txt",
    )
    def add(
        common: Common,
        streams: Streams,
        name: Name,
        password_stdin: Annotated[
            bool, typer.Option("--password-stdin", help="Read the password from stdin, one line.")
        ] = False,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Add a user; prompts for the password."""
        require_server_extra()
        start_audit_log(audit_log)
        database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
        return run_add(common, streams, name, data_dir, database, password_stdin=password_stdin)

    @command(group, "list", codes=exits.LOCAL, example="subcli user list --json")
    def list_users(common: Common, streams: Streams, data_dir: DataDir = None, database: Database = None) -> int:
        """List users and their number of sessions."""
        database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
        with _accounts(data_dir, database) as accounts:
            found = accounts.list_users()
        _show(common, streams, found)
        return 0

    @command(group, "remove", codes=(*exits.LOCAL, 5), example="subcli user remove ada")
    def remove(
        common: Common,
        streams: Streams,
        name: Name,
        data_dir: DataDir = None,
        database: Database = None,
        audit_log: AuditLog = None,
    ) -> int:
        """Remove a user and end their sessions; submissions stay."""
        require_server_extra()
        start_audit_log(audit_log)
        database = given_or_in_file(streams, database, "SUBCLI_DATABASE")
        return run_remove(common, streams, name, data_dir, database)


def run_add(
    common: Common, streams: Streams, name: str, data_dir: Path | None, database: str | None, *, password_stdin: bool
) -> int:
    """Add a user.

    Raises:
        UsageError: name or password cannot be used, or the name is taken.
    """
    require_server_extra()
    from subcli.server import PasswordCost
    from subcli.server.accounts.accounts import NAME, UserExistsError
    from subcli.server.accounts.passwords import PasswordError, Passwords

    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:64]!r} is not a valid user name.",
            hint="Up to 64 letters, digits and . _ @ + -, the first a letter or digit.",
        )
    with _accounts(data_dir, database) as accounts:
        password = _read_password(name, common, streams, from_stdin=password_stdin)
        try:
            accounts.add_user(name, Passwords(PasswordCost()).hash(password))
        except PasswordError as error:
            raise UsageError(str(error), hint="Choose another one.") from None
        except UserExistsError:
            raise UsageError(f"User {name} already exists.", hint="`subcli user list` shows them.") from None
        _record("user added", name)
    if common.json:
        streams.print_json({"user": {"name": name}})
    elif not common.quiet:
        streams.write(f"Added {name}. Next: subcli auth login --server URL\n")
    return 0


def run_remove(common: Common, streams: Streams, name: str, data_dir: Path | None, database: str | None) -> int:
    """Remove a user.

    Raises:
        NotFoundError: there is no user with this name.
    """
    with _accounts(data_dir, database) as accounts:
        from subcli.server.accounts.accounts import UnknownUserError

        try:
            accounts.remove_user(name)
        except UnknownUserError:
            raise NotFoundError(f"There is no user {name[:64]}.", hint="`subcli user list` shows them.") from None
        _record("user removed", name)
    if common.json:
        streams.print_json({"user": {"name": name}})
    elif not common.quiet:
        streams.write(f"Removed {name}; sessions have ended, submissions stay.\n")
    return 0


def _record(what: str, name: str) -> None:
    """Write to the audit log what was done, and by whom."""
    import pwd

    from subcli.server.observe import audit

    try:
        operator = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        operator = str(os.getuid())
    audit.record(what, "done", user=name, by=operator)


def _show(common: Common, streams: Streams, found: list[User]) -> None:
    from subcli.shared.encoding import timestamp

    if common.json:
        rows = [
            {"name": user.name, "created_at": timestamp(user.created_at), "sessions": user.sessions} for user in found
        ]
        streams.print_json({"users": rows})
    elif common.quiet:
        streams.write("".join(f"{user.name}\n" for user in found))
    elif not found:
        streams.write("No users. Add one: subcli user add NAME\n")
    else:
        width = max(len(user.name) for user in found)
        for user in found:
            sessions = "1 session" if user.sessions == 1 else f"{user.sessions} sessions"
            streams.write(f"{user.name:{width}}  since {timestamp(user.created_at)[:10]}  {sessions}\n")


@contextmanager
def _accounts(data_dir: Path | None, database: str | None) -> Iterator[Accounts]:
    """The accounts in the server's database.

    Raises:
        UsageError: the database cannot be opened, or fails.
    """
    require_server_extra()
    import time

    from sqlalchemy.exc import SQLAlchemyError

    from subcli.server import ServeError, ServerLimits, ServerSettings
    from subcli.server.accounts.accounts import Accounts
    from subcli.server.log.database import open_database
    from subcli.server.run.startup import make_data_dir

    settings = ServerSettings(data_directory(data_dir, database), database=database)
    try:
        if settings.database is None:
            make_data_dir(settings.data_dir)
        engine = open_database(settings.database_url)
    except ServeError as error:
        raise UsageError(error.message, hint=error.hint) from None
    try:
        yield Accounts(engine, time.time, ServerLimits())
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise UsageError(f"The database failed: {cause}.", hint="Try again.") from None
    finally:
        engine.dispose()


def _read_password(name: str, common: Common, streams: Streams, *, from_stdin: bool) -> str:
    if from_stdin or not streams.stdin_tty:
        line = streams.stdin.buffer.readline(_LONGEST_LINE)
        try:
            return line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise UsageError("The password on stdin is not UTF-8.", hint="Give one line of text.") from None
    if common.no_input:
        raise UsageError("`--no-input` does not allow prompting for the password.", hint="Use --password-stdin.")
    from subcli.cli.prompt import answer
    from subcli.cli.runtime import run

    async def ask() -> tuple[str, str]:
        password = await answer(streams, f"Password for {name}: ", hidden=True)
        return password, await answer(streams, "Once more: ", hidden=True) if password else ""

    password, again = run(lambda _: ask(), streams)
    if not password:
        raise UsageError("No password was given.", hint="Type it twice, or use --password-stdin.")
    if password != again:
        raise UsageError("The passwords do not match.", hint="Try again.")
    return password
