"""One WebSocket: open it, frames in, frames out, abort. Reconnecting is somebody else's.

Whatever ends or prevents a connection is raised as :class:`Disconnected`, which carries the value that
:func:`subcli.core.recovery.step` wants to hear. Texts of the library's own exceptions carry the URL with its
token: none of them leaves this module unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.frames import CloseCode
from websockets.protocol import State

from subcli.client.network import (
    certificate_untrusted,
    describe_failure,
    parse_retry_after,
    proxy_requires_credentials,
    unusable_proxy,
)
from subcli.core.inputs import Blocked, Closed, Lost, Refused
from subcli.shared.protocol import MAX_FRAME_BYTES, PING
from subcli.shared.secret import Secret, redact
from subcli.shared.urls import is_loopback, redirect_target

OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 0.2
_RETRY_AFTER: Final = re.compile(r"\bretry_after=(\d{1,9}(?:\.\d+)?)")
_REDIRECTS: Final = frozenset({300, 301, 302, 303, 307, 308})

DisconnectReason = Closed | Refused | Lost | Blocked


class Disconnected(Exception):
    """There is no connection, or no longer. ``input`` says how."""

    def __init__(self, input: DisconnectReason) -> None:
        super().__init__(input)
        self.input = input


class _Connection(ClientConnection):
    """Notes when the last byte came, since any byte counts as a sign of life; and ends what is closing.

    Once a close frame was sent or received nothing more comes, but who reads hears of it only when the other
    side ends the connection as well: a broken one may never do so.
    """

    last_byte_at: float = 0.0
    _ending: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self.last_byte_at = self.loop.time()
        super().data_received(data)
        if self.protocol.state is State.CLOSING and self._ending is None:
            self._ending = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)


class _Handshake(_connect):
    """Follows redirects within the origin only: a token is never sent elsewhere (contract, section 7)."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        if not isinstance(exc, InvalidStatus) or exc.response.status_code not in _REDIRECTS:
            return exc
        target = redirect_target(self.uri, exc.response.headers.get("Location", ""))
        if target is None:
            return exc
        # A gateway writes http where we have to say ws; whether it is encrypted does not change.
        parts = urlsplit(target)
        return urlunsplit((urlsplit(self.uri).scheme, parts.netloc, parts.path, parts.query, ""))


class Socket:
    """An open WebSocket.

    Args:
        connection: after its handshake.
        secrets: what was sent, and must not be repeated should the server do so.
    """

    def __init__(self, connection: _Connection, *secrets: Secret) -> None:
        self._connection = connection
        self._secrets = secrets

    @property
    def last_byte_at(self) -> float:
        """When the last byte came, in seconds of the event loop's clock."""
        return self._connection.last_byte_at

    @property
    def has_arrived(self) -> bool:
        """Whether a whole message is here already, so that :meth:`receive` will not wait."""
        frames = self._connection.recv_messages.frames.queue
        return bool(frames) and frames[0].fin

    async def receive(self) -> str | bytes:
        """The next frame.

        Raises:
            Disconnected: the socket is closed.
        """
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise Disconnected(_closing(closed, self._secrets)) from None

    async def ping(self) -> None:
        """Ask for a sign of life: the specification's ``ping``, and RFC 6455's own (section 5.5.2)."""
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
        """Cut the connection at once: the other side is dead, or frozen."""
        self._connection.transport.abort()


async def open_socket(
    url: str,
    *,
    token: Secret | None = None,
    query_token: Secret | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Socket:
    """Connect and shake hands.

    Args:
        url: of the endpoint, without a token.
        token: sent as ``Authorization: Bearer``.
        query_token: sent as the specification's ``?token=``.
        ssl_context: for ``wss``.

    Raises:
        Disconnected: with ``Refused``, ``Lost`` or ``Blocked``.
    """
    headers: Mapping[str, str] = {}
    full = url
    if token:
        headers = {"Authorization": f"Bearer {token.reveal()}"}
    if query_token:
        full = f"{url}{'&' if '?' in url else '?'}token={quote(query_token.reveal(), safe='')}"
    secrets = [secret for secret in (token, query_token) if secret]
    parts = urlsplit(url)
    options: dict[str, Any] = {"ssl": ssl_context} if parts.scheme == "wss" and ssl_context is not None else {}
    made: list[_Connection] = []

    def make(*args: Any, **given: Any) -> _Connection:
        made.append(_Connection(*args, **given))
        return made[-1]

    try:
        connection = await _Handshake(
            full,
            additional_headers=headers,
            create_connection=cast(type[_Connection], make),
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            proxy=None if is_loopback(parts.hostname) else True,
            **options,
        )
    except InvalidStatus as refused:
        raise Disconnected(_refusal(refused, secrets)) from None
    except (InvalidProxyStatus, ProxyError, InvalidProxy, ImportError) as error:
        raise Disconnected(_proxy_trouble(error)) from None
    except ssl.SSLCertVerificationError as error:
        raise Disconnected(certificate_untrusted(error, parts.netloc)) from None
    except InvalidMessage as error:
        if isinstance(error.__cause__, EOFError):
            raise Disconnected(
                Lost(f"{parts.netloc} closed the connection during the handshake", reached=True)
            ) from None
        raise Disconnected(Refused(400, "the answer to the handshake is not HTTP")) from None
    except InvalidHandshake:
        raise Disconnected(Refused(400, "the answer to the handshake is not that of a WebSocket server")) from None
    except (OSError, EOFError) as error:
        # A connection is made when TCP has one: whatever input then, somebody was there.
        raise Disconnected(Lost(describe_failure(error, parts.netloc), reached=bool(made))) from None
    except (InvalidURI, ValueError):
        # Our own address was checked before; what is left are a proxy's and a redirect's.
        raise Disconnected(unusable_proxy()) from None
    assert isinstance(connection, _Connection)
    connection.last_byte_at = asyncio.get_running_loop().time()
    return Socket(connection, *secrets)


def _closing(closed: ConnectionClosed, secrets: Sequence[Secret]) -> Closed:
    sent, received = closed.sent, closed.rcvd
    if sent is not None and not closed.rcvd_then_sent:
        if sent.code == CloseCode.MESSAGE_TOO_BIG:
            return Closed(CloseCode.MESSAGE_TOO_BIG, "a message beyond 1 MiB")
        # We closed, as the bytes that came were not those of a WebSocket: no word of the server's, but
        # something in between that is broken. That may be another way the next time.
        return Closed(CloseCode.ABNORMAL_CLOSURE, f"the WebSocket protocol was broken: {redact(sent.reason, *secrets)}")
    if received is None:
        return Closed(CloseCode.ABNORMAL_CLOSURE, "the connection was cut")
    told = _RETRY_AFTER.search(received.reason)
    return Closed(int(received.code), redact(received.reason, *secrets), float(told.group(1)) if told else None)


def _refusal(refused: InvalidStatus, secrets: Sequence[Secret]) -> Refused:
    response = refused.response
    reason = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code in _REDIRECTS:
        reason += ": a redirect that leaves the server is not followed"
    told = parse_retry_after(response.headers.get("Retry-After"))
    return Refused(response.status_code, redact(reason, *secrets), told)


def _proxy_trouble(error: Exception) -> Blocked | Refused | Lost:
    if isinstance(error, InvalidProxyStatus):
        status = error.response.status_code
        return proxy_requires_credentials() if status == 407 else Refused(status, f"the proxy said HTTP {status}")
    if isinstance(error, InvalidProxy | ImportError):
        return unusable_proxy()
    return Lost("the proxy did not connect us", reached=True)
