"""``subcli auth passwd``: change one's own password."""

from __future__ import annotations

from subcli.cli.commands.auth.unverified import unverified
from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.prompt import answer, new_password
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.client.connection import connect
from subcli.client.exchange import RequestFailed
from subcli.core.errors import AuthError, UsageError
from subcli.settings.config import Settings
from subcli.shared.protocol import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH
from subcli.shared.secret import Secret


def passwd(common: Common, streams: Streams) -> int:
    """Ask for the old password and twice for the new one, and change it.

    Raises:
        SubcliError: The server refused, or there is nobody to ask.
    """
    settings = common.settings(streams)
    settings.require_safe_for_secrets()
    if common.no_input or not streams.can_prompt:
        raise UsageError("No terminal to ask for the passwords on.", hint="Run it on a terminal.")
    run(lambda _: _change(settings, streams), streams)
    if common.json:
        streams.print_json({"password": {"server": settings.server, "changed": True}})
    elif not common.quiet:
        streams.write("The password is changed; your other sessions have ended, access tokens stay.\n")
    return 0


async def _change(settings: Settings, streams: Streams) -> None:
    patience = Patience(settings.server, streams)
    async with connect(settings) as client, patience.waiting():
        await client.require_feature("access_tokens", "change passwords")
        if client.token() is None:
            raise AuthError(f"You are not logged in to {settings.server}.", hint="Log in: `subcli auth login`.")
        # Renews the login if it has expired, before anybody types.
        try:
            await client.api.me_with_refresh()
        except RequestFailed as failed:
            raise unverified(failed, "Nothing was changed.") from None
        with patience.paused():
            old = await answer(streams, "Old password: ", hidden=True)
            if not old:
                raise UsageError("No password was given.", hint="Nothing was changed.")
            new = await new_password(streams, "New password: ", _check)
        await client.api.change_password(Secret(old), Secret(new))


def _check(password: str) -> None:
    """Refuse what the server would refuse, before it is typed again."""
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise UsageError(
            f"A password must have between {PASSWORD_MIN_LENGTH} and {PASSWORD_MAX_LENGTH} characters.",
            hint="Choose another one.",
        )
