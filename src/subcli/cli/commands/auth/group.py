"""``subcli auth``: the group, and the options of its commands, whose code is imported when one is called."""

from __future__ import annotations

from typing import Annotated

import typer

from subcli.cli.common import Common, command
from subcli.cli.common import group as make_group
from subcli.cli.streams import Streams


def register(app: typer.Typer) -> None:
    """Register the commands."""
    group = make_group(app, "auth", summary="Log in and out of servers.", example="subcli auth status")

    @command(group, "login", example="subcli auth login --server https://judge.example")
    def login(
        common: Common,
        streams: Streams,
        user: Annotated[
            str | None, typer.Option("--user", metavar="NAME", help="User name. Default: prompt for it.")
        ] = None,
        with_token: Annotated[
            bool, typer.Option("--with-token", help="Read a token from stdin instead of prompting.")
        ] = False,
        insecure_storage: Annotated[
            bool, typer.Option("--insecure-storage", help="Store the login in a plaintext file, not in the keyring.")
        ] = False,
    ) -> int:
        """Log in to a server and store the login."""
        from subcli.cli.commands.auth.login import login as run

        return run(common, streams, user, with_token=with_token, insecure_storage=insecure_storage)

    @command(group, "logout", example="subcli auth logout")
    def logout(common: Common, streams: Streams) -> int:
        """Log out, here and on the server."""
        from subcli.cli.commands.auth.logout import logout as run

        return run(common, streams)

    @command(group, "status", example="subcli auth status --json")
    def status(common: Common, streams: Streams) -> int:
        """Show who you are logged in as, and where the token comes from."""
        from subcli.cli.commands.auth.status import status as run

        return run(common, streams)

    @command(group, "token", example='curl -H "Authorization: Bearer $(subcli auth token)" URL')
    def token(common: Common, streams: Streams) -> int:
        """Print the token, renewing it first if it has expired."""
        from subcli.cli.commands.auth.token import token as run

        return run(common, streams)
