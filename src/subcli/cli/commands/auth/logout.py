"""``subcli auth logout``: end the login, here and on the server."""

from __future__ import annotations

import httpx

from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.client.connection import http_client
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import CredentialError, NetworkError, UsageError
from subcli.settings.config import Settings
from subcli.settings.files import user_directory


def logout(common: Common, streams: Streams) -> int:
    """Delete the login, and revoke its tokens if the server can be reached.

    Raises:
        UsageError: There is no login for this server.
    """
    settings = common.settings(streams)
    credentials = Credentials(user_directory())
    if credentials.login(settings.server) is None:
        raise UsageError(
            f"There is no login for {settings.server}.", hint="`subcli auth status` shows the current state."
        )
    revoked = False
    try:
        tokens = credentials.load(settings.server)
        settings.require_safe_for_secrets()
        revoked = tokens is not None and run(lambda _: _revoke(settings, streams, tokens), streams)
    except (CredentialError, NetworkError, UsageError):
        # Tokens that cannot be read or sent safely cannot be revoked; they are still deleted below.
        revoked = False
    try:
        credentials.delete(settings.server)
    except CredentialError as error:
        if revoked:
            error.message += " The server no longer accepts it."
        raise
    if common.json:
        streams.print_json({"logout": {"server": settings.server, "revoked": revoked}})
    elif not common.quiet:
        rest = "" if revoked else " It was not revoked on the server, where it will expire."
        streams.write(f"Logged out of {settings.server}.{rest}\n")
    return 0


async def _revoke(settings: Settings, streams: Streams, tokens: Tokens) -> bool:
    headers = {"Authorization": f"Bearer {tokens.access.reveal()}"}
    form = {"refresh_token": tokens.refresh.reveal()} if tokens.refresh else {}
    async with http_client(settings) as http, Patience(settings.server, streams).waiting():
        try:
            response = await http.post(f"{settings.api_url}/auth/logout", json=form, headers=headers)
        except httpx.HTTPError:
            return False
        return response.is_success
