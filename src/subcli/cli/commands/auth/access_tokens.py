"""``subcli auth token create``, ``list`` and ``revoke``: access tokens for machines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from subcli.cli.common import Common
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.client.api import Json
from subcli.client.client import Client
from subcli.core.errors import ServerError
from subcli.output.pages.tables import age
from subcli.output.printable import one_line

_FEATURE = ("access_tokens", "create access tokens")


def create(common: Common, streams: Streams, name: str, expires_s: int, scope: str) -> int:
    """Create an access token and print it.

    Raises:
        SubcliError: The server refused, or does not have access tokens.
    """

    async def call(client: Client) -> Json:
        await client.require_feature(*_FEATURE)
        return await client.api.create_access_token(name, scope, expires_s)

    made = request(common, streams, call)
    token = made.get("token")
    if not isinstance(token, str) or not token:
        raise ServerError(
            "The server created an access token but did not return it.", hint="`subcli auth token list` shows it."
        )
    if common.json:
        streams.print_json({"access_token": made})
        return 0
    streams.write(f"{one_line(token)}\n")
    if not common.quiet:
        streams.write_error(
            f"Access token {name} (scope {scope}) expires {_day(made.get('expires_at'))}. It is not shown again: keep "
            "it where your CI keeps secrets, as SUBCLI_TOKEN.\n"
        )
    return 0


def list_tokens(common: Common, streams: Streams) -> int:
    """Print the user's access tokens.

    Raises:
        SubcliError: The server refused, or does not have access tokens.
    """

    async def call(client: Client) -> list[Any]:
        await client.require_feature(*_FEATURE)
        return await client.api.access_tokens()

    rows = [row for row in request(common, streams, call) if isinstance(row, dict)]
    if common.json:
        streams.print_json({"access_tokens": rows})
    elif common.quiet:
        streams.write("".join(f"{one_line(str(row.get('name', '')))}\n" for row in rows))
    elif not rows:
        streams.write("No access tokens. Create one: subcli auth token create --name NAME\n")
    else:
        _write_table(streams, rows)
    return 0


def revoke(common: Common, streams: Streams, name: str) -> int:
    """Revoke an access token, named by its name or id.

    Raises:
        SubcliError: The server refused, or there is no such token.
    """

    async def call(client: Client) -> Json:
        await client.require_feature(*_FEATURE)
        return await client.api.revoke_access_token(name)

    gone = request(common, streams, call)
    if common.json:
        streams.print_json({"access_token": gone})
    elif not common.quiet:
        streams.write(f"Revoked {one_line(str(gone.get('name') or name))}; what uses it is disconnected.\n")
    return 0


def _write_table(streams: Streams, rows: Sequence[Json]) -> None:
    now = time.time()
    cells = [("ID", "NAME", "SCOPE", "EXPIRES", "LAST USED")]
    for row in rows:
        expires = f"{_day(row.get('expires_at'))}{' (expired)' if _is_past(row.get('expires_at'), now) else ''}"
        used = age(row.get("last_used_at"), now) or "never"
        cells.append((str(row.get("id")), str(row.get("name")), str(row.get("scope")), expires, used))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        text = "  ".join(f"{one_line(cell):<{width}}" for cell, width in zip(line, widths, strict=True))
        streams.write(f"{text.rstrip()}\n")


def _day(timestamp: object) -> str:
    return one_line(timestamp[:10]) if isinstance(timestamp, str) else "at a time that the server does not say"


def _is_past(timestamp: object, now: float) -> bool:
    try:
        return isinstance(timestamp, str) and datetime.fromisoformat(timestamp).timestamp() <= now
    except ValueError:
        return False
