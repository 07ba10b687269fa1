"""`/ws/submissions/{id}`: a submission's events over a WebSocket (contract, section 6).

Every refusal is accept-then-close, because closing before accepting reaches the client as HTTP 403, whatever the
code. Only another path is refused with HTTP 404: 4004 would blame the submission where a prefix is wrong.
Every exception after the handshake is caught, because it would close the socket without a code.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final
from urllib.parse import parse_qs

from subcli.server.accounts.identity import Identity, UnauthenticatedError, bearer_token
from subcli.server.gateway.socket import DisconnectedError, Receive, Scope, Send, ServerSocket, headers
from subcli.server.limits import FullError, Rate
from subcli.server.log.records import ReplacedError, UnknownSubmissionError
from subcli.server.observe.logs import log_context
from subcli.server.parts import Services
from subcli.server.settings import ServerLimits
from subcli.shared.protocol import PING, PONG, CloseCode

_log: Final = logging.getLogger(__name__)
_PREFIX: Final = "/ws/submissions/"
_PATH: Final = re.compile(rf"{_PREFIX}([^/]*)/?\Z")
# At most 18 digits: fits into a database's 64-bit integer.
_NUMBER: Final = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


class RefusedError(Exception):
    """The socket must be closed with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Gateway:
    """The ASGI application for all WebSockets."""

    def __init__(self, services: Services, limits: ServerLimits) -> None:
        self._store = services.store
        self._journal = services.journal
        self._identities = services.identities
        self._metrics = services.metrics
        self._lifecycle = services.lifecycle
        self._limits = limits
        self._limiter = services.limiter
        self._connects = Rate("connects", limits.connects, limits.rate_window_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = ServerSocket(scope, receive, send)
        with suppress(DisconnectedError):
            if not scope["path"].startswith(_PREFIX):
                await socket.refuse(404, {"detail": "Not Found"})
                return
            await socket.accept()
            self._metrics.opened += 1
            self._metrics.connections += 1
            try:
                await self._serve_and_close(socket, scope)
            finally:
                self._metrics.connections -= 1

    async def _serve_and_close(self, socket: ServerSocket, scope: Scope) -> None:
        """Serve the socket, then close it with the right code.

        Raises:
            DisconnectedError: the client is gone.
        """
        try:
            await self._serve(socket, scope)
        except RefusedError as refused:
            self._metrics.refused(refused.code)
            await self._close(socket, refused.code, refused.reason)
        except DisconnectedError:
            raise
        except Exception:
            _log.exception("socket failed, closing with 1011")
            self._metrics.refused(CloseCode.INTERNAL_ERROR)
            await self._close(socket, CloseCode.INTERNAL_ERROR, "internal error")
        else:
            await self._close(socket, CloseCode.NORMAL, "")

    async def _close(self, socket: ServerSocket, code: int, reason: str) -> None:
        if code == CloseCode.TRY_AGAIN_LATER:
            socket.close_now(code, reason)
            return
        try:
            async with asyncio.timeout(self._limits.send_s):
                await socket.close(code, reason)
        except TimeoutError:
            socket.close_now(code, reason)

    async def _serve(self, socket: ServerSocket, scope: Scope) -> None:
        """Authenticate and authorize the client, then talk to it.

        Raises:
            RefusedError: the socket must be closed with a code other than 1000.
            DisconnectedError: the client is gone.
        """
        if self._lifecycle.is_stopping:
            raise RefusedError(CloseCode.SERVICE_RESTART, "restarting")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        submission_id = _submission_id(scope)
        try:
            identity = await self._identities.of_socket(_token(scope, query), submission_id)
        except UnauthenticatedError as error:
            raise RefusedError(CloseCode.UNAUTHORIZED, error.reason) from None
        after = _after_seq(query)
        await self._check_owner(submission_id, identity)
        await self._check_connect_rate(identity)
        try:
            with log_context(submission=submission_id):
                async with self._limiter.slot(str(submission_id), self._limits.connections):
                    with socket.served():
                        await self._talk(socket, identity, submission_id, after, query.get("epoch", [""])[-1] or None)
        except FullError:
            raise RefusedError(CloseCode.RATE_LIMITED, f"retry_after={self._limits.retry_after_s}") from None

    async def _check_connect_rate(self, identity: Identity) -> None:
        if identity.is_limited:
            status = await self._limiter.take(self._connects, str(identity.user_id))
            if status.retry_after:
                raise RefusedError(CloseCode.RATE_LIMITED, f"retry_after={status.seconds_to_wait}")

    async def _talk(
        self, socket: ServerSocket, identity: Identity, submission_id: int, after: int, epoch: str | None
    ) -> None:
        """Send all events, and answer pings in the meantime.

        Raises:
            RefusedError: the socket must be closed with a code other than 1000.
            DisconnectedError: the client is gone.
        """
        sending = asyncio.create_task(self._send_events(socket, submission_id, after, epoch))
        listening = asyncio.create_task(self._listen(socket))
        try:
            with self._identities.watched(identity) as ended:
                done, _ = await asyncio.wait(
                    {sending, listening, ended},
                    timeout=self._identities.seconds_left(identity),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for task in (sending, listening):
                task.cancel()
            await asyncio.wait({sending, listening})
        if not done:
            raise RefusedError(CloseCode.UNAUTHORIZED, "token expired")
        if done == {ended}:
            raise RefusedError(CloseCode.UNAUTHORIZED, "session ended")
        # Raises the reason. If both tasks ended, sending decides, because then the verdict has been sent.
        (sending if sending in done else listening).result()

    async def _check_owner(self, submission_id: int, identity: Identity) -> None:
        try:
            await self._store.run(self._store.lookup.snapshot, submission_id, identity.user_id)
        except UnknownSubmissionError:
            raise RefusedError(CloseCode.NOT_FOUND, "submission not found") from None

    async def _send_events(self, socket: ServerSocket, submission_id: int, after: int, epoch: str | None) -> None:
        try:
            async with aclosing(self._journal.follow(submission_id, after, epoch)) as batches:
                async for batch in batches:
                    await self._send_in_time(socket.send_records(batch))
                    self._metrics.sent(batch)
        except ReplacedError:
            raise RefusedError(CloseCode.LOG_REPLACED, "the records of this submission were replaced") from None
        except UnknownSubmissionError:
            raise RefusedError(CloseCode.NOT_FOUND, "submission not found") from None

    async def _listen(self, socket: ServerSocket) -> None:
        """Answer pings until the client disconnects or stays silent for too long."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_s):
                    message = await socket.receive()
            except TimeoutError:
                raise RefusedError(CloseCode.GOING_AWAY, f"no message for {self._limits.idle_s:g} s") from None
            if _is_ping(message):
                await self._send_in_time(socket.send_text(PONG))
            # Neither call above suspends while there is data to read and room to write. Give other clients a turn.
            await asyncio.sleep(0)

    async def _send_in_time(self, sending: Awaitable[None]) -> None:
        """Wait until there is room in the send buffer, but not for ever.

        Raises:
            RefusedError: the client reads too slowly.
        """
        try:
            async with asyncio.timeout(self._limits.send_s):
                await sending
        except TimeoutError:
            raise RefusedError(CloseCode.TRY_AGAIN_LATER, "reading too slowly") from None


def _submission_id(scope: Scope) -> int:
    match = _PATH.match(scope["path"])
    if match is None or not _NUMBER.match(match[1]):
        raise RefusedError(CloseCode.NOT_FOUND, "submission not found")
    return int(match[1])


def _token(scope: Scope, query: Mapping[str, Sequence[str]]) -> str | None:
    """The token in the `Authorization` header, otherwise in the specification's `?token=`.

    Raises:
        UnauthenticatedError: either is there twice.
    """
    bearer, tokens = bearer_token(headers(scope, b"authorization")), query.get("token", [])
    if bearer is not None:
        return bearer
    if len(tokens) > 1:
        raise UnauthenticatedError("two tokens")
    return tokens[0] if tokens else None


def _after_seq(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("after_seq", ["0"])[-1]
    if not _NUMBER.match(text):
        raise RefusedError(CloseCode.POLICY_VIOLATION, "after_seq must be a non-negative number")
    return int(text)


def _is_ping(message: str | bytes) -> bool:
    """Whether it is a ping, bare or as JSON (contract, section 6). All other messages are ignored."""
    if message == PING:
        return True
    if not isinstance(message, str) or '"ping"' not in message:
        return False
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and parsed.get("type") == PING
