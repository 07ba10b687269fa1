"""``subcli auth``: the group, and the options of its commands, whose code is imported when one is called."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from subcli.cli.common import Common, command
from subcli.cli.common import group as make_group
from subcli.cli.lifetime import lifetime
from subcli.cli.streams import Streams


def register(app: typer.Typer) -> None:
    """Register the commands."""
    group = make_group(
        app, "auth", summary="Log in and out of servers; manage access tokens.", example="subcli auth status"
    )

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

    @command(group, "passwd", example="subcli auth passwd")
    def passwd(common: Common, streams: Streams) -> int:
        """Change your password; your other sessions end."""
        from subcli.cli.commands.auth.passwd import passwd as run

        return run(common, streams)

    _register_token(group)


def _register_token(parent: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    parent.add_typer(group, name="token")

    @command(group, None, example='curl -H "Authorization: Bearer $(subcli auth token)" URL', is_group=True)
    def token(common: Common, streams: Streams) -> int:
        """Print the token of your login; manage access tokens."""
        from subcli.cli.commands.auth.token import token as run

        return run(common, streams)

    @command(
        group,
        "create",
        example="subcli auth token create --name ci --expires 90d --scope submit\n"
        "subcli auth token create --name dashboard --scope read -q > token.txt",
    )
    def create(
        common: Common,
        streams: Streams,
        name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is for, such as ci.")],
        expires: Annotated[
            int,
            typer.Option(
                "--expires", metavar="TIME", parser=lifetime, help="How long it is valid: 12h, 90d or 8w, up to 366d."
            ),
        ] = "90d",  # type: ignore[assignment]
        scope: Annotated[
            Literal["submit", "read"],
            typer.Option("--scope", metavar="SCOPE", help="submit, or read, which can neither submit nor cancel."),
        ] = "submit",
    ) -> int:
        """Create an access token, for CI, and print it once."""
        from subcli.cli.commands.auth.access_tokens import create as run

        return run(common, streams, name, expires, scope)

    @command(group, "list", example="subcli auth token list")
    def list_(common: Common, streams: Streams) -> int:
        """List your access tokens and their last use."""
        from subcli.cli.commands.auth.access_tokens import list_tokens as run

        return run(common, streams)

    @command(group, "revoke", example="subcli auth token revoke ci")
    def revoke(
        common: Common,
        streams: Streams,
        name: Annotated[str, typer.Argument(metavar="NAME or ID", help="Of the access token.")],
    ) -> int:
        """Revoke an access token."""
        from subcli.cli.commands.auth.access_tokens import revoke as run

        return run(common, streams, name)
