"""``subcli auth token``: print the token for another program."""

from __future__ import annotations

from subcli.cli.commands.auth.expiry import expiry_s
from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.client.connection import connect
from subcli.core.errors import AuthError
from subcli.settings.config import Settings
from subcli.shared.secret import Secret


def token(common: Common, streams: Streams) -> int:
    """Print the token, renewed first if it expires within half a minute.

    Raises:
        AuthError: There is none.
    """
    settings = common.settings(streams)
    found = run(lambda _: _current(settings, streams), streams)
    if found is None:
        raise AuthError(f"There is no token for {settings.server}.", hint="Log in: `subcli auth login`.")
    if common.json:
        streams.print_json({"token": found.reveal()})
    else:
        streams.write(f"{found.reveal()}\n")
    return 0


async def _current(settings: Settings, streams: Streams) -> Secret | None:
    async with connect(settings) as client, Patience(settings.server, streams).waiting():
        token = client.token()
        expires = expiry_s(token) if token else None
        if expires is not None and expires < await client.api.now() + 30:
            await client.renew()
        return client.token()
