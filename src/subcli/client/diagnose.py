"""What stands between this machine and a verdict: each thing on the way looked at by itself (`subcli doctor`).

Nothing is handed in and nothing changed, but for a test entry in the keyring, which is taken out again. What
cannot be looked at since something before it failed is said to be left out, and why.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import msgspec

from subcli.client.api import ServerInfo, as_server_info
from subcli.client.client import Client, connect, http_client, system_trust
from subcli.client.http import RequestFailed
from subcli.client.keyring import CALL_TIMEOUT_S
from subcli.client.network import certificate_untrusted, describe_failure
from subcli.client.records import Credentials
from subcli.client.transport import Disconnected, DisconnectReason, open_socket
from subcli.core.errors import AuthError, CredentialError, SubcliError
from subcli.core.inputs import Blocked, Closed, Refused
from subcli.settings.config import Settings
from subcli.settings.files import user_directory
from subcli.shared.protocol import timestamp
from subcli.shared.secret import redact
from subcli.shared.urls import is_loopback

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]

CONNECT_S: Final = 5.0
ANSWER_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 1024 * 1024
CLOCK_S: Final = 5.0
"""A clock that is further off is told: an HTTP date has whole seconds, and the way takes its time."""

EXPIRES_SOON_S: Final = 14 * 86_400


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at.

    Attributes:
        name: one word.
        detail: what was found, in one line; foreign text may be in it.
        cure: what to do, preferably a command; empty where nothing is wrong.
        kind: of the error that a command would end with for it (:mod:`subcli.core.errors`), where ``state`` is failed.
    """

    name: str
    state: State
    detail: str
    cure: str = ""
    kind: str = "network"


class _Answer(msgspec.Struct, frozen=True):
    """What the server said of itself, and when."""

    info: ServerInfo
    date: str | None
    asked: float
    took: float


async def examine(settings: Settings, version: str) -> AsyncIterator[Finding]:
    """Look at everything on the way to the server, one after the other.

    Args:
        settings: of the command.
        version: our own.
    """
    system = f"Python {platform.python_version()}, {platform.system()}"
    yield Finding("program", "ok", f"subcli {version}, {system}")
    yield Finding("settings", "ok", f"server {settings.server}, from {_ORIGINS[settings.server_origin]}")
    yield (proxy := _proxy(settings))
    if proxy.state == "failed":
        for finding in _left_out(_ON_THE_WAY, "the proxy cannot be used"):
            yield finding
        return
    yield (reached := await _reach(settings))
    if reached.state == "failed":
        for finding in _left_out(_ON_THE_WAY[1:], "the server was not reached"):
            yield finding
        return
    yield (certificate := await _certificate(settings))
    if certificate.state == "failed":
        for finding in _left_out(_ON_THE_WAY[2:], "the connection is not safe"):
            yield finding
        return
    api, answer = await _api(settings)
    yield api
    yield _clock(answer)
    if answer is None:
        for finding in _left_out(_ON_THE_WAY[4:], "there is no answer to go by"):
            yield finding
        return
    async for finding in _examine_rights(settings, answer.info):
        yield finding


async def _examine_rights(settings: Settings, info: ServerInfo) -> AsyncIterator[Finding]:
    """The socket, and who we are."""
    try:
        async with connect(settings, max_attempts=0) as client:
            yield await _websocket(client)
            yield await _token(client, info)
    except SubcliError as error:
        # The login on record cannot be read.
        yield Finding("token", "failed", error.message.rstrip("."), error.hint, error.kind)
    yield await asyncio.to_thread(_keyring, settings, info)


_ON_THE_WAY: Final = ("server", "certificate", "api", "clock", "websocket", "token", "keyring")


def _left_out(names: Sequence[str], why: str) -> list[Finding]:
    return [Finding(name, "skipped", why) for name in names]


_ORIGINS: Final = {
    "flag": "--server",
    "pasted URL": "a URL",
    "variable": "SUBCLI_SERVER",
    "project file": "the project file",
    "user file": "your settings",
    "default": "the default",
}


# -- the way to the server --------------------------------------------------------------------------


def _proxy(settings: Settings) -> Finding:
    proxy = _proxy_for(settings)
    if proxy is None:
        return Finding("proxy", "ok", "none on the way to this server")
    shown = redact(proxy)
    scheme = urlsplit(proxy if "://" in proxy else f"http://{proxy}").scheme
    if scheme not in ("http", "https"):
        cure = "Set HTTPS_PROXY to an http:// address, or name the server in NO_PROXY."
        return Finding("proxy", "failed", f"{shown} cannot be used: only http and https proxies can", cure)
    return Finding("proxy", "ok", f"through {shown}")


def _proxy_for(settings: Settings) -> str | None:
    """The proxy that the environment names for the server, as the libraries read it."""
    parts = urlsplit(settings.server)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies: Mapping[str, str] = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


async def _reach(settings: Settings) -> Finding:
    parts = urlsplit(settings.server)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if _proxy_for(settings) is not None:
        return Finding("server", "skipped", "reached through the proxy, which is asked below")
    started = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        cure = "Name the server with `--server URL`, or start one here with `subcli serve`."
        return Finding("server", "failed", describe_failure(error, parts.netloc), cure)
    writer.close()
    return Finding("server", "ok", f"{parts.netloc} accepts connections, in {_ms(time.monotonic() - started)}")


async def _certificate(settings: Settings) -> Finding:
    parts = urlsplit(settings.server)
    if parts.scheme != "https":
        if is_loopback(parts.hostname):
            return Finding("certificate", "ok", "none needed on this machine")
        return Finding("certificate", "warning", "the connection is not encrypted", "Use an https address.")
    own = os.environ.get("SSL_CERT_FILE")
    if own and not os.access(own, os.R_OK):
        detail = f"SSL_CERT_FILE names {own}, which cannot be read: no certificate is trusted"
        cure = "Name a file of certificates in PEM form, or unset it."
        return Finding("certificate", "failed", detail, cure, "usage")
    trust = f"SSL_CERT_FILE={own}" if own else "the system"
    if _proxy_for(settings) is not None:
        return Finding("certificate", "skipped", f"checked through the proxy, against {trust}")
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=system_trust())
    except ssl.SSLCertVerificationError as error:
        blocked = certificate_untrusted(error, parts.netloc)
        return Finding("certificate", "failed", blocked.reason.rstrip("."), blocked.hint)
    except (OSError, TimeoutError) as error:
        cure = "Is this the port for https? Else the server's TLS is older than this Python accepts."
        return Finding("certificate", "failed", describe_failure(error, parts.netloc), cure)
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else None
    if ends is not None and ends - time.time() < EXPIRES_SOON_S:
        return Finding("certificate", "warning", f"valid only until {timestamp(ends)}", "Tell whoever runs the server.")
    until = f", until {timestamp(ends)[:10]}" if ends is not None else ""
    return Finding("certificate", "ok", f"trusted by {trust}{until}")


async def _api(settings: Settings) -> tuple[Finding, _Answer | None]:
    """What the server is. One without ``/info`` has no features, and is a judge all the same if it has problems."""
    asked, started = time.time(), time.monotonic()
    try:
        async with http_client(settings) as http, asyncio.timeout(2 * ANSWER_S):
            status, headers, body = await _get(http, f"{settings.api_url}/info")
            is_old = status in (404, 405, 501)
            problems = await _get(http, f"{settings.api_url}/problems") if is_old else None
    except SubcliError as error:
        return Finding("api", "failed", error.message.rstrip("."), error.hint), None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        cure = "Look at the proxy, if there is one, and at the server's own log."
        return Finding("api", "failed", describe_failure(error, urlsplit(settings.server).netloc), cure), None
    took = time.monotonic() - started
    date = headers.get("Date")
    if problems is not None and (problems[0] in (401, 403) or problems[2] is not None):
        detail = "no /info: a server without features, on which what is missed is asked for over REST"
        return Finding("api", "warning", detail), _Answer(ServerInfo(), date, asked, took)
    if not isinstance(body, dict):
        detail = f"{settings.api_url} answers HTTP {status}, and not as a judge does"
        return Finding("api", "failed", detail, _PATH, "server"), None
    info = as_server_info(body)
    named = f"{info.name} {info.version}".strip() or "a server without a name"
    mode = ", demo mode" if info.demo else ""
    features = ", ".join(sorted(info.features)) or "no features"
    return Finding("api", "ok", f"{named}{mode}: {features}"), _Answer(info, date, asked, took)


async def _get(http: httpx.AsyncClient, url: str) -> tuple[int, httpx.Headers, Any]:
    """Status, headers, and the body of a good answer: ``None`` where it is no JSON, or longer than such a one is."""
    content = b""
    async with http.stream("GET", url, timeout=ANSWER_S) as response:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > ANSWER_MAX_BYTES:
                return response.status_code, response.headers, None
    try:
        body = msgspec.json.decode(content) if response.is_success else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        body = None
    return response.status_code, response.headers, body


_PATH: Final = "If its REST is elsewhere, set `api_path` (or SUBCLI_API_PATH)."


def _clock(answer: _Answer | None) -> Finding:
    try:
        there = parsedate_to_datetime(answer.date or "").timestamp() if answer is not None else None
    except (ValueError, OverflowError, TypeError):
        there = None
    if answer is None or there is None:
        return Finding("clock", "skipped", "the server did not say what time it is")
    # The date is cut to whole seconds: half of one is added.
    ahead = answer.asked + answer.took / 2 - (there + 0.5)
    if abs(ahead) <= CLOCK_S:
        return Finding("clock", "ok", "as the server's, to the second or so")
    word = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "clock",
        "warning",
        f"{_span(abs(ahead))} {word} the server's: tokens seem to expire early or late, and ages are wrong",
        "`timedatectl set-ntp true` sets this machine's clock.",
    )


# -- who we are, and the socket ---------------------------------------------------------------------


async def _token(client: Client, info: ServerInfo) -> Finding:
    login = f"`subcli auth login --server {client.settings.server}`"
    if client.token() is None:
        if info.demo:
            return Finding("token", "ok", "none needed: the server is in demo mode")
        return Finding("token", "failed", "there is none for this server", login, "auth")
    origin = client.settings.token_origin or "the login on record"
    try:
        me = await client.api.me_with_refresh()
    except AuthError as error:
        return Finding("token", "failed", f"from {origin}, not accepted", error.hint or login, "auth")
    except RequestFailed as failed:
        if failed.status in (401, 403):
            return Finding("token", "failed", f"from {origin}, not accepted", login, "auth")
        if failed.status in (404, 405):
            return Finding("token", "warning", f"from {origin}; this server has no way to verify it")
        return Finding("token", "failed", failed.reason.rstrip("."), "Try again later.", "server")
    user = me.get("user") or me.get("username") or me.get("name")
    return Finding("token", "ok", f"from {origin}, valid" + (f", {user}" if user else ""))


async def _websocket(client: Client) -> Finding:
    """A real handshake, and a frame back: there are proxies that let the one pass and not the other."""
    number = 1
    with contextlib.suppress(SubcliError):
        number = await client.latest()
    url = f"{client.settings.ws_url}/submissions/{number}"
    context = system_trust() if url.startswith("wss:") else None
    started = time.monotonic()
    try:
        socket = await open_socket(url, token=client.token(), ssl_context=context)
    except Disconnected as gone:
        return _no_socket(gone.input, client.settings.ws_url)
    try:
        async with asyncio.timeout(ANSWER_S):
            # Whatever comes will do, a refusal as well: it came through a WebSocket.
            with contextlib.suppress(Disconnected):
                await socket.ping()
                await socket.receive()
    except TimeoutError:
        detail = f"the handshake succeeds, but nothing comes back within {ANSWER_S:g} s"
        return Finding("websocket", "failed", detail, _NO_UPGRADE)
    finally:
        socket.abort()
    return Finding("websocket", "ok", f"handshake and answer in {_ms(time.monotonic() - started)}")


_NO_UPGRADE: Final = (
    "Let the proxy pass WebSockets (`Upgrade` header), or name the server in NO_PROXY; until then watches poll."
)


def _no_socket(input: DisconnectReason, ws_url: str) -> Finding:
    match input:
        case Refused(status=401 | 403 | 429):
            # Only a server of WebSockets refuses so.
            return Finding("websocket", "ok", f"there, and refuses this one: {input.reason}")
        case Refused(status=404):
            cure = "If the WebSockets are elsewhere, set `ws_url` in your settings (or SUBCLI_WS_URL)."
            return Finding("websocket", "failed", f"nothing at {ws_url} ({input.reason})", cure)
        case Refused():
            return Finding("websocket", "failed", f"the handshake is not let through: {input.reason}", _NO_UPGRADE)
        case Blocked():
            return Finding("websocket", "failed", input.reason.rstrip("."), input.hint)
        case Closed():
            return Finding("websocket", "failed", f"closed with {input.code}", _NO_UPGRADE)
        case _:
            detail = f"no answer to the handshake: {input.reason.rstrip('.')}"
            return Finding("websocket", "failed", detail, _NO_UPGRADE)


def _keyring(settings: Settings, info: ServerInfo) -> Finding:
    """A test entry, written, read and taken out, unless nobody needs the keyring."""
    if settings.token is not None:
        return Finding("keyring", "skipped", f"not needed: {settings.token_origin} is set")
    credentials = Credentials(user_directory())
    login = credentials.login(settings.server)
    if login is not None and login.place == "file":
        return Finding("keyring", "skipped", "not needed: this login is kept in the plaintext file")
    if login is None and info.demo:
        return Finding("keyring", "skipped", "not needed: the server is in demo mode")
    try:
        where = credentials.probe("keyring", timeout_s=CALL_TIMEOUT_S)
    except CredentialError as error:
        needed = login is not None
        return Finding("keyring", "failed" if needed else "warning", error.message.rstrip("."), error.hint, "auth")
    return Finding("keyring", "ok", f"usable: {where}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
