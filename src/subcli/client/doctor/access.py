"""Access to the server: the socket, the token, and the keyring that stores it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from subcli.client.api import ServerInfo
from subcli.client.client import Client
from subcli.client.doctor.diagnosis import Diagnosis
from subcli.client.doctor.reach import (
    RESPONSE_TIMEOUT_S,
    milliseconds,
)
from subcli.client.exchange import RequestFailed
from subcli.client.keyring import CALL_TIMEOUT_S
from subcli.client.records import Credentials
from subcli.client.transport import Disconnected, DisconnectReason, open_socket
from subcli.core.errors import AuthError, CredentialError, SubcliError
from subcli.core.inputs import Blocked, Closed, Refused
from subcli.settings.config import Settings
from subcli.settings.files import user_directory

_MOST_NAMED: Final = 5


async def check_token(client: Client, info: ServerInfo) -> Diagnosis:
    login = f"`subcli auth login --server {client.settings.server}`"
    if client.token() is None:
        if info.demo:
            return Diagnosis("token", "ok", "none needed: the server is in demo mode")
        if await client.api.accepts_us():
            return Diagnosis("token", "ok", "none needed: the server answers without one")
        return Diagnosis("token", "failed", "none for this server", login, "auth")
    origin = client.settings.token_origin or "the recorded login"
    try:
        me = await client.api.me_with_refresh()
    except AuthError as error:
        return Diagnosis("token", "failed", f"from {origin}, not accepted", error.hint or login, "auth")
    except RequestFailed as failed:
        if failed.status in (401, 403):
            return Diagnosis("token", "failed", f"from {origin}, not accepted", login, "auth")
        if failed.status in (404, 405):
            return await _token_in_use(client, origin, login)
        return Diagnosis("token", "failed", failed.reason.rstrip("."), "Try again later.", "server")
    user = me.get("user") or me.get("username") or me.get("name")
    return Diagnosis("token", "ok", f"from {origin}, valid" + (f", {user}" if user else ""))


async def _token_in_use(client: Client, origin: str, login: str) -> Diagnosis:
    """If the server cannot say who owns the token: whether it accepts a request with it."""
    accepted = await client.api.accepts_us()
    if accepted is None:
        return Diagnosis("token", "warning", f"from {origin}; this server cannot verify it")
    if not accepted:
        return Diagnosis("token", "failed", f"from {origin}, not accepted", login, "auth")
    return Diagnosis("token", "ok", f"from {origin}, accepted; the server does not say whose it is")


async def check_problems(client: Client) -> Diagnosis | None:
    """What whoever runs the server should know about its problems; None if that is nothing."""
    try:
        rows = await client.api.problems()
    except SubcliError:
        return None
    outdated = [str(row.get("slug")) for row in rows if isinstance(row, dict) and row.get("outdated") is True]
    if not outdated:
        return None
    named = ", ".join(outdated[:_MOST_NAMED]) + (" and more" if len(outdated) > _MOST_NAMED else "")
    detail = f"not valid as they are now: {named}; the versions before stay in service"
    return Diagnosis("problems", "warning", detail, "The server's log says why.")


async def check_websocket(client: Client) -> Diagnosis:
    """Make a real handshake and get a frame back: some proxies pass the handshake and drop the frames."""
    number = 1
    with contextlib.suppress(SubcliError):
        number = await client.latest()
    url = f"{client.settings.ws_url}/submissions/{number}"
    proxy = client.settings.proxies.decide(url)
    started = time.monotonic()
    try:
        socket = await open_socket(url, token=client.token(), proxy=proxy)
    except Disconnected as gone:
        return _handshake_failed(gone.input, client.settings.ws_url)
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            # Anything counts, even a refusal: it came through a WebSocket.
            with contextlib.suppress(Disconnected):
                await socket.ping()
                await socket.receive()
    except TimeoutError:
        detail = f"the handshake succeeds, but nothing arrives within {RESPONSE_TIMEOUT_S:g} s"
        return Diagnosis("websocket", "failed", detail, _NO_UPGRADE)
    finally:
        socket.abort()
    return Diagnosis("websocket", "ok", f"handshake and answer in {milliseconds(time.monotonic() - started)}")


_NO_UPGRADE: Final = (
    "Let the proxy pass WebSockets (`Upgrade` header), or name the server in NO_PROXY; until then watches poll."
)


def _handshake_failed(input: DisconnectReason, ws_url: str) -> Diagnosis:
    match input:
        case Refused(status=401 | 403 | 429):
            # Only a WebSocket server refuses like this.
            return Diagnosis("websocket", "ok", f"present, but it refuses this connection: {input.reason}")
        case Refused(status=404):
            cure = "If the WebSockets are elsewhere, set `ws_url` in your settings (or SUBCLI_WS_URL)."
            return Diagnosis("websocket", "failed", f"nothing at {ws_url} ({input.reason})", cure)
        case Refused():
            return Diagnosis("websocket", "failed", f"the handshake fails: {input.reason}", _NO_UPGRADE)
        case Blocked():
            return Diagnosis("websocket", "failed", input.reason.rstrip("."), input.hint)
        case Closed():
            return Diagnosis("websocket", "failed", f"closed with {input.code}", _NO_UPGRADE)
        case _:
            detail = f"no answer to the handshake: {input.reason.rstrip('.')}"
            return Diagnosis("websocket", "failed", detail, _NO_UPGRADE)


def check_keyring(settings: Settings, info: ServerInfo) -> Diagnosis:
    """Write, read and delete a test entry, unless nobody needs the keyring."""
    if settings.token is not None:
        return Diagnosis("keyring", "skipped", f"not needed: {settings.token_origin} is set")
    credentials = Credentials(user_directory())
    login = credentials.login(settings.server)
    if login is not None and login.place == "file":
        return Diagnosis("keyring", "skipped", "not needed: this login is in the plaintext file")
    if login is None and info.demo:
        return Diagnosis("keyring", "skipped", "not needed: the server is in demo mode")
    try:
        where = credentials.probe("keyring", timeout_s=CALL_TIMEOUT_S)
    except CredentialError as error:
        needed = login is not None
        return Diagnosis("keyring", "failed" if needed else "warning", error.message.rstrip("."), error.hint, "auth")
    return Diagnosis("keyring", "ok", f"usable: {where}")
