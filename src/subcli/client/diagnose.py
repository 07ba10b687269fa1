"""Check everything between this machine and a verdict, one thing at a time (`subcli doctor`).

Nothing is submitted and nothing is changed, except for a test entry in the keyring, which is deleted again. A check
that depends on one that failed is skipped, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import httpx
import msgspec

from subcli.client.api import ServerInfo, as_server_info
from subcli.client.body import decode_json
from subcli.client.client import Client, connect, http_client
from subcli.client.http import RequestFailed
from subcli.client.keyring import CALL_TIMEOUT_S
from subcli.client.network import describe_failure, redirected, server_time, tls_failure
from subcli.client.records import Credentials
from subcli.client.transport import ATTEMPT_DELAY_S, Disconnected, DisconnectReason, open_socket
from subcli.client.trust import system_trust, trust_origin
from subcli.core.errors import AuthError, CredentialError, SubcliError, UsageError
from subcli.core.inputs import Blocked, Closed, Refused
from subcli.settings.config import Settings
from subcli.settings.files import user_directory
from subcli.shared.protocol import timestamp
from subcli.shared.secret import redact
from subcli.shared.urls import dialled_host, is_loopback, redirect_target, split_zone

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]

CONNECT_TIMEOUT_S: Final = 5.0
RESPONSE_TIMEOUT_S: Final = 5.0
MAX_RESPONSE_BYTES: Final = 1024 * 1024
MAX_CLOCK_OFFSET_S: Final = 5.0
"""A larger difference is reported: an HTTP date has whole seconds, and the response takes its time."""

EXPIRES_SOON_S: Final = 14 * 86_400


class Diagnosis(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        name: one word.
        detail: what was found, in one line; it may contain text from the server.
        cure: what to do, preferably a command; empty if nothing is wrong.
        kind: if ``state`` is failed, the kind of error that a command would end with (:mod:`subcli.core.errors`).
    """

    name: str
    state: State
    detail: str
    cure: str = ""
    kind: str = "network"


class _ServerReply(msgspec.Struct, frozen=True):
    """What the server said about itself, and when.

    Attributes:
        date: the ``Date`` header.
        asked_at: Unix time of the request.
        took_s: until its response was read.
    """

    info: ServerInfo
    date: str | None
    asked_at: float
    took_s: float


async def diagnose(settings: Settings, version: str) -> AsyncIterator[Diagnosis]:
    """Check everything on the way to the server, in order.

    Args:
        settings: of the command.
        version: of subcli.
    """
    system = f"Python {platform.python_version()}, {platform.system()}"
    yield Diagnosis("program", "ok", f"subcli {version}, {system}")
    yield Diagnosis("settings", "ok", f"server {settings.server}, from {_ORIGINS[settings.server_origin]}")
    yield (proxy := await _proxy(settings))
    if proxy.state == "failed":
        for diagnosis in _skipped(_CHECKS, "the proxy cannot be used"):
            yield diagnosis
        return
    yield (reached := await _connection(settings))
    if reached.state == "failed":
        for diagnosis in _skipped(_CHECKS[1:], "the server was not reached"):
            yield diagnosis
        return
    yield (certificate := await _certificate(settings))
    if certificate.state == "failed":
        for diagnosis in _skipped(_CHECKS[2:], "the connection is not safe"):
            yield diagnosis
        return
    api, reply = await _api(settings)
    yield api
    yield _clock(reply)
    if reply is None:
        for diagnosis in _skipped(_CHECKS[4:], "the server did not answer"):
            yield diagnosis
        return
    async for diagnosis in _check_access(settings, reply.info):
        yield diagnosis


async def _check_access(settings: Settings, info: ServerInfo) -> AsyncIterator[Diagnosis]:
    """Check the socket, the token and the keyring."""
    try:
        async with connect(settings, max_attempts=0) as client:
            yield await _websocket(client)
            yield await _token(client, info)
    except SubcliError as error:
        # The recorded login cannot be read.
        yield Diagnosis("token", "failed", error.message.rstrip("."), error.hint, error.kind)
    yield await asyncio.to_thread(_keyring, settings, info)


_CHECKS: Final = ("server", "certificate", "api", "clock", "websocket", "token", "keyring")


def _skipped(names: Sequence[str], why: str) -> list[Diagnosis]:
    return [Diagnosis(name, "skipped", why) for name in names]


_ORIGINS: Final = {
    "flag": "--server",
    "pasted URL": "a URL",
    "variable": "SUBCLI_SERVER",
    "project file": "the project file",
    "user file": "your settings",
    "default": "the default",
}


# -- the way to the server --------------------------------------------------------------------------


async def _proxy(settings: Settings) -> Diagnosis:
    """What was decided about proxies, and why; one that is to be used must accept connections."""
    proxy = settings.proxies.decide(settings.server)
    if proxy.problem:
        return Diagnosis("proxy", "failed", proxy.problem, proxy.hint)
    if proxy.url is not None:
        parts = urlsplit(proxy.url.reveal())
        try:
            await _open(parts.hostname, parts.port)
        except (OSError, TimeoutError) as error:
            return Diagnosis("proxy", "failed", describe_failure(error, str(proxy)), proxy.hint)
    if settings.proxies.ignored and settings.proxies.variables:
        ignored = ", ".join(repr(redact(entry)) for entry in settings.proxies.ignored)
        return Diagnosis("proxy", "warning", f"{proxy.why}; unreadable in NO_PROXY: {ignored}", "Correct NO_PROXY.")
    if proxy.url is not None:
        return Diagnosis("proxy", "ok", proxy.why)
    return Diagnosis("proxy", "ok", f"none on the way to this server: {proxy.why}")


def _is_proxied(settings: Settings) -> bool:
    return settings.proxies.decide(settings.server).url is not None


async def _open(host: str | None, port: int | None, **options: Any) -> Mapping[str, Any]:
    """Connect to the fastest of a host's addresses and hang up; the certificate of the other side, if it has one.

    Raises:
        OSError: there is no connection, or not in time.
    """
    if host is not None and "ssl" in options:
        options["server_hostname"] = split_zone(host)[0]
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, writer = await asyncio.open_connection(
            dialled_host(host or ""), port, happy_eyeballs_delay=ATTEMPT_DELAY_S, interleave=1, **options
        )
    certificate: Mapping[str, Any] = writer.get_extra_info("peercert") or {}
    writer.close()
    return certificate


async def _connection(settings: Settings) -> Diagnosis:
    parts = urlsplit(settings.server)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if _is_proxied(settings):
        return Diagnosis("server", "skipped", "reached through the proxy, see below")
    started = time.monotonic()
    try:
        await _open(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        cure = "Name the server with `--server URL`, or start one here with `subcli serve`."
        return Diagnosis("server", "failed", describe_failure(error, parts.netloc), cure)
    return Diagnosis("server", "ok", f"{parts.netloc} accepts connections, in {_ms(time.monotonic() - started)}")


async def _certificate(settings: Settings) -> Diagnosis:
    parts = urlsplit(settings.server)
    if parts.scheme != "https":
        if is_loopback(parts.hostname):
            return Diagnosis("certificate", "ok", "none needed on this machine")
        return Diagnosis("certificate", "warning", "the connection is not encrypted", "Use an https address.")
    trust = trust_origin(os.environ)
    try:
        context = system_trust()
    except UsageError as error:
        return Diagnosis("certificate", "failed", error.message.rstrip("."), error.hint, error.kind)
    if _is_proxied(settings):
        return Diagnosis("certificate", "skipped", f"checked through the proxy, against {trust}")
    try:
        certificate = await _open(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, TimeoutError) as error:
        blocked = tls_failure(error, parts.netloc)
        if blocked is not None:
            return Diagnosis("certificate", "failed", blocked.reason.rstrip("."), blocked.hint)
        cure = "Is this the port for https? Else the server's TLS is older than this Python accepts."
        return Diagnosis("certificate", "failed", describe_failure(error, parts.netloc), cure)
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else None
    if ends is not None and ends - time.time() < EXPIRES_SOON_S:
        return Diagnosis(
            "certificate", "warning", f"valid only until {timestamp(ends)}", "Tell whoever runs the server."
        )
    until = f", until {timestamp(ends)[:10]}" if ends is not None else ""
    return Diagnosis("certificate", "ok", f"trusted by {trust}{until}")


async def _api(settings: Settings) -> tuple[Diagnosis, _ServerReply | None]:
    """Check that the server is a judge. One without ``/info`` has no features, but is a judge if it has problems."""
    asked_at, started = time.time(), time.monotonic()
    try:
        async with http_client(settings) as http, asyncio.timeout(2 * RESPONSE_TIMEOUT_S):
            status, headers, body = await _get(http, f"{settings.api_url}/info")
            is_old = status in (401, 403, 404, 405, 501)
            problems = await _get(http, f"{settings.api_url}/problems") if is_old else None
    except SubcliError as error:
        return Diagnosis("api", "failed", error.message.rstrip("."), error.hint), None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        cure = "Look at the proxy, if there is one, and at the server's own log."
        return Diagnosis("api", "failed", describe_failure(error, urlsplit(settings.server).netloc), cure), None
    url = f"{settings.api_url}/info"
    if "Location" in headers and 300 <= status < 400 and redirect_target(url, headers["Location"]) is None:
        blocked = redirected(url, headers["Location"], settings.server)
        return Diagnosis("api", "failed", blocked.reason.rstrip("."), blocked.hint), None
    took_s = time.monotonic() - started
    date = headers.get("Date")
    if problems is not None and (problems[0] in (401, 403) or problems[2] is not None):
        detail = "no /info: the server has no optional features; missed events are fetched over REST"
        return Diagnosis("api", "warning", detail), _ServerReply(ServerInfo(), date, asked_at, took_s)
    if not isinstance(body, dict):
        detail = f"{settings.api_url} answers HTTP {status}, but not like a judge"
        return Diagnosis("api", "failed", detail, _PATH, "server"), None
    info = as_server_info(body)
    named = f"{info.name} {info.version}".strip() or "unnamed server"
    mode = ", demo mode" if info.demo else ""
    features = ", ".join(sorted(info.features)) or "no features"
    return Diagnosis("api", "ok", f"{named}{mode}: {features}"), _ServerReply(info, date, asked_at, took_s)


async def _get(http: httpx.AsyncClient, url: str) -> tuple[int, httpx.Headers, Any]:
    """Status, headers and decoded body; the body is ``None`` if the response is an error, not JSON, or too long."""
    content = b""
    async with http.stream("GET", url, timeout=RESPONSE_TIMEOUT_S) as response:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                return response.status_code, response.headers, None
    return response.status_code, response.headers, decode_json(content) if response.is_success and content else None


_PATH: Final = "If its REST is elsewhere, set `api_path` (or SUBCLI_API_PATH)."


def _clock(reply: _ServerReply | None) -> Diagnosis:
    there = server_time(reply.date) if reply is not None else None
    if reply is None or there is None:
        return Diagnosis("clock", "skipped", "the server did not send its time")
    # The date is truncated to whole seconds: add half of one.
    ahead_s = reply.asked_at + reply.took_s / 2 - (there + 0.5)
    if abs(ahead_s) <= MAX_CLOCK_OFFSET_S:
        return Diagnosis("clock", "ok", "in step with the server's")
    word = "ahead of" if ahead_s > 0 else "behind"
    return Diagnosis(
        "clock",
        "warning",
        f"{_span(abs(ahead_s))} {word} the server's: tokens seem to expire early or late, and ages are wrong",
        "`timedatectl set-ntp true` sets this machine's clock.",
    )


# -- who we are, and the socket ---------------------------------------------------------------------


async def _token(client: Client, info: ServerInfo) -> Diagnosis:
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
    """Where the server cannot say whose the token is: whether it accepts a request with it."""
    accepted = await client.api.accepts_us()
    if accepted is None:
        return Diagnosis("token", "warning", f"from {origin}; this server has no way to verify it")
    if not accepted:
        return Diagnosis("token", "failed", f"from {origin}, not accepted", login, "auth")
    return Diagnosis("token", "ok", f"from {origin}, accepted; the server does not tell whose it is")


async def _websocket(client: Client) -> Diagnosis:
    """Make a real handshake and get a frame back: some proxies pass the one and not the other."""
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
            # Anything will do, even a refusal: it came through a WebSocket.
            with contextlib.suppress(Disconnected):
                await socket.ping()
                await socket.receive()
    except TimeoutError:
        detail = f"the handshake succeeds, but nothing arrives within {RESPONSE_TIMEOUT_S:g} s"
        return Diagnosis("websocket", "failed", detail, _NO_UPGRADE)
    finally:
        socket.abort()
    return Diagnosis("websocket", "ok", f"handshake and answer in {_ms(time.monotonic() - started)}")


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
            return Diagnosis("websocket", "failed", f"the handshake does not get through: {input.reason}", _NO_UPGRADE)
        case Blocked():
            return Diagnosis("websocket", "failed", input.reason.rstrip("."), input.hint)
        case Closed():
            return Diagnosis("websocket", "failed", f"closed with {input.code}", _NO_UPGRADE)
        case _:
            detail = f"no answer to the handshake: {input.reason.rstrip('.')}"
            return Diagnosis("websocket", "failed", detail, _NO_UPGRADE)


def _keyring(settings: Settings, info: ServerInfo) -> Diagnosis:
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


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
