"""One WebSocket: open it, receive, send, abort. Reconnecting is up to :mod:`subcli.client.session`.

Whatever ends or prevents a connection is raised as :class:`Disconnected`, which carries the input for
:func:`subcli.core.recovery.step`. The library's own exceptions contain the URL with its token, so none of them leaves
this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from websockets.asyncio.client import connect as _connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.frames import CloseCode

from subcli.client.frames import CLOSE_TIMEOUT_S, FrameConnection
from subcli.client.network import (
    USER_AGENT,
    describe_failure,
    parse_retry_after,
    proxy_requires_credentials,
    through,
    tls_failure,
    tunnel_refused,
)
from subcli.client.trust import system_trust
from subcli.core.inputs import Blocked, Closed, Lost, Refused
from subcli.settings.proxies import DIRECT, Proxy
from subcli.shared.protocol import MAX_FRAME_BYTES, PING
from subcli.shared.secret import Secret, redact
from subcli.shared.urls import dialled_host, redirect_target, split_zone, without_zone

OPEN_TIMEOUT_S: Final = 10.0
ATTEMPT_DELAY_S: Final = 0.25
"""How long one address is tried alone before the next joins it (RFC 8305 section 5), as httpx does it."""

_RETRY_AFTER: Final = re.compile(r"\bretry_after=(\d{1,9}(?:\.\d+)?)")
_REDIRECTS: Final = frozenset({300, 301, 302, 303, 307, 308})

DisconnectReason = Closed | Refused | Lost | Blocked


class Disconnected(Exception):
    """There is no connection, or it was lost. ``input`` says why."""

    def __init__(self, input: DisconnectReason) -> None:
        super().__init__(input)
        self.input = input


class _Handshake(_connect):
    """Follows redirects within the origin only: a token is never sent elsewhere (contract, section 7)."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        if not isinstance(exc, InvalidStatus) or exc.response.status_code not in _REDIRECTS:
            return exc
        target = redirect_target(self.uri, exc.response.headers.get("Location", ""))
        if target is None:
            return exc
        # A gateway may write http where we need ws; the origins agree on encryption.
        parts = urlsplit(target)
        return urlunsplit((urlsplit(self.uri).scheme, parts.netloc, parts.path, parts.query, ""))


class Socket:
    """An open WebSocket.

    Args:
        connection: after its handshake.
        secrets: what was sent; redacted from what the server says.
    """

    def __init__(self, connection: FrameConnection, *secrets: Secret) -> None:
        self._connection = connection
        self._secrets = secrets

    @property
    def last_byte_at(self) -> float:
        """When the last byte arrived, in seconds of the event loop's clock."""
        return self._connection.last_byte_at

    async def receive(self) -> Sequence[str | bytes]:
        """The messages that have arrived, at least one: a text, or the bytes of a binary one.

        Raises:
            Disconnected: the socket is closed, and nothing more has arrived.
        """
        try:
            return await self._connection.receive()
        except ConnectionClosed as closed:
            raise Disconnected(_closing(closed, self._secrets)) from None

    async def ping(self) -> None:
        """Send the specification's ``ping`` and a ping frame (RFC 6455 section 5.5.2)."""
        try:
            await self._connection.send(PING)
            await self._connection.ping()
        except ConnectionClosed as closed:
            raise Disconnected(_closing(closed, self._secrets)) from None

    async def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            Disconnected: the socket is closed.
        """
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise Disconnected(_closing(closed, self._secrets)) from None

    async def close(self) -> None:
        """Close with 1000, without waiting long for the other side."""
        with contextlib.suppress(Exception):
            await self._connection.close()
        self.abort()

    def abort(self) -> None:
        """Drop the connection without a closing handshake."""
        self._connection.transport.abort()


async def open_socket(
    url: str,
    *,
    token: Secret | None = None,
    query_token: Secret | None = None,
    proxy: Proxy = DIRECT,
) -> Socket:
    """Connect and shake hands.

    Args:
        url: of the endpoint, without a token.
        token: sent as ``Authorization: Bearer``.
        query_token: sent as the specification's ``?token=``.
        proxy: how to reach the server.

    Raises:
        Disconnected: with ``Refused``, ``Lost`` or ``Blocked``.
    """
    if proxy.problem:
        raise Disconnected(Blocked(f"{proxy.problem}.", proxy.hint))
    secrets = [secret for secret in (token, query_token) if secret]
    options = _way(url, proxy)
    made: list[FrameConnection] = []

    def make(*args: Any, **given: Any) -> FrameConnection:
        made.append(FrameConnection(*args, **given))
        return made[-1]

    try:
        connection = await _Handshake(
            without_zone(_with_token(url, query_token)),
            additional_headers={"Authorization": f"Bearer {token.reveal()}"} if token else {},
            create_connection=cast(type[FrameConnection], make),
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            user_agent_header=USER_AGENT,
            happy_eyeballs_delay=ATTEMPT_DELAY_S,
            interleave=1,
            **options,
        )
    except (InvalidHandshake, InvalidURI, OSError, EOFError, ValueError) as error:
        raise Disconnected(_failed_handshake(error, secrets, url, proxy, connected=bool(made))) from None
    assert isinstance(connection, FrameConnection)
    connection.last_byte_at = asyncio.get_running_loop().time()
    return Socket(connection, *secrets)


def _with_token(url: str, token: Secret | None) -> str:
    """``url`` with the specification's ``?token=``."""
    if not token:
        return url
    return f"{url}{'&' if '?' in url else '?'}token={quote(token.reveal(), safe='')}"


def _way(url: str, proxy: Proxy) -> dict[str, Any]:
    """The options of a connection that depend on its target and proxy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    options: dict[str, Any] = {"proxy": None if proxy.url is None else proxy.url.reveal()}
    if parts.scheme == "wss":
        options["ssl"] = system_trust()
    if split_zone(host)[1]:
        options["host"] = dialled_host(host)
    if options["proxy"] is not None and options["proxy"].startswith("https:"):
        options["proxy_ssl"] = system_trust()
    return options


def _failed_handshake(
    error: Exception, secrets: Sequence[Secret], url: str, proxy: Proxy, *, connected: bool
) -> Refused | Lost | Blocked:
    """What a handshake that did not succeed means.

    Args:
        connected: whether there was a TCP connection, to the server or the proxy.
    """
    authority = urlsplit(url).netloc
    match error:
        case InvalidStatus():
            return _refusal(error, secrets)
        case ProxyError():
            return _proxy_failure(error, proxy)
        case InvalidMessage(__cause__=EOFError()):
            return Lost(f"{authority} closed the connection during the handshake", reached=True)
        case InvalidMessage():
            return Refused(400, "the answer to the handshake is not HTTP")
        case InvalidHandshake():
            return Refused(400, "the answer to the handshake is not that of a WebSocket server")
        case OSError() | EOFError():
            return _unconnected(error, authority, proxy, connected=connected)
        case _:
            # Our own addresses were checked before, so this is the address of a redirect.
            return Refused(400, "the redirect does not lead to a valid address")


def _closing(closed: ConnectionClosed, secrets: Sequence[Secret]) -> Closed:
    sent, received = closed.sent, closed.rcvd
    if sent is not None and not closed.rcvd_then_sent:
        if sent.code == CloseCode.MESSAGE_TOO_BIG:
            return Closed(CloseCode.MESSAGE_TOO_BIG, "a message larger than 1 MiB")
        # We closed because the bytes were not valid WebSocket frames. The server did not decide this: something in
        # between is broken, and may be fixed the next time.
        return Closed(CloseCode.ABNORMAL_CLOSURE, f"invalid WebSocket frames: {redact(sent.reason, *secrets)}")
    if received is None:
        return Closed(CloseCode.ABNORMAL_CLOSURE, "the connection was cut")
    match = _RETRY_AFTER.search(received.reason)
    retry_after_s = float(match.group(1)) if match else None
    return Closed(int(received.code), redact(received.reason, *secrets), retry_after_s)


def _refusal(refused: InvalidStatus, secrets: Sequence[Secret]) -> Refused:
    response = refused.response
    reason = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code in _REDIRECTS:
        reason += ": a redirect that leaves the server is not followed"
    retry_after_s = parse_retry_after(httpx.Headers(list(response.headers.raw_items())))
    return Refused(response.status_code, redact(reason, *secrets), retry_after_s)


def _proxy_failure(error: ProxyError, proxy: Proxy) -> Blocked | Refused | Lost:
    if isinstance(error, InvalidProxyStatus):
        status, phrase = error.response.status_code, error.response.reason_phrase
        if status == 407:
            return proxy_requires_credentials(proxy)
        return Refused(status, tunnel_refused(proxy, status, phrase), by_proxy=True)
    return Lost(f"{proxy} did not open a tunnel", hint=proxy.hint)


def _unconnected(error: OSError | EOFError, address: str, proxy: Proxy, *, connected: bool) -> Blocked | Lost:
    """Why there is no connection. Once the TCP connection is made, behind the proxy if any, the server was reached."""
    if proxy.url is not None and not connected:
        lost = Lost(describe_failure(error, str(proxy)), hint=proxy.hint)
        return tls_failure(error, address, proxy) or lost
    # A server that accepts connections and never answers counts as not reached.
    reached = connected and not isinstance(error, TimeoutError)
    return tls_failure(error, address) or Lost(describe_failure(error, through(proxy, address)), reached=reached)
