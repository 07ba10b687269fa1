"""`/ws/submissions/{id}`: a submission's events over a WebSocket (contract, section 6); `/ws/feed`: those of many.

Every refusal is accept-then-close, because closing before accepting reaches the client as HTTP 403, whatever the
code. Only another path is refused with HTTP 404: 4004 would blame the submission where a prefix is wrong.
Every exception after the handshake is caught, because it would close the socket without a code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final, TypeAlias
from urllib.parse import parse_qs

from subcli.server.accounts.identity import Identity, UnauthenticatedError, bearer_token
from subcli.server.accounts.permissions import Action, Credential, refusal
from subcli.server.edge import session_cookie
from subcli.server.gateway.feed import FeedReader
from subcli.server.gateway.socket import DisconnectedError, Receive, Scope, Send, ServerSocket, headers
from subcli.server.gateway.watcher import RefusedError, Source, Watcher
from subcli.server.gateway.wheel import Wheel
from subcli.server.limits import FullError, Rate
from subcli.server.log.interleaved import InterleavedReader
from subcli.server.log.matching import Cursor, Wanted
from subcli.server.log.records import Snapshot, UnknownSubmissionError
from subcli.server.observe.logs import log_context
from subcli.server.observe.tasks import log_failure
from subcli.server.parts import Services
from subcli.server.settings import ServerLimits
from subcli.shared.protocol import OUTPUT, CloseCode

_log: Final = logging.getLogger(__name__)
_PREFIX: Final = "/ws/submissions/"
_FEED: Final = "/ws/feed"
_NO_SUBMISSION: Final = 0
"""No watch token is for this one: a feed takes access tokens only."""
_PATH: Final = re.compile(rf"{_PREFIX}([^/]*)/?\Z")
# At most 18 digits: fits into a database's 64-bit integer.
_NUMBER: Final = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


_Query: TypeAlias = Mapping[str, Sequence[str]]


class Gateway:
    """The ASGI application for all WebSockets."""

    def __init__(self, services: Services, limits: ServerLimits) -> None:
        self._services = services
        self._store = services.store
        self._journal = services.journal
        self._identities = services.identities
        self._metrics = services.metrics
        self._lifecycle = services.lifecycle
        self._limits = limits
        self._limiter = services.limiter
        self._wheel = Wheel()
        self._connects = Rate("connects", limits.connects, limits.rate_window_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a client. On our own protocol this returns then, and the watcher goes on alone."""
        socket = ServerSocket(scope, receive, send)
        with suppress(DisconnectedError):
            if not (scope["path"].startswith(_PREFIX) or _is_feed(scope)):
                await socket.refuse(404, {"detail": "Not Found"})
                return
            await socket.accept()
            self._metrics.opened += 1
            self._metrics.connections += 1
            try:
                await self._admit_or_close(socket, scope)
            except BaseException:
                self._metrics.connections -= 1
                raise
            await socket.detach()

    async def _admit_or_close(self, socket: ServerSocket, scope: Scope) -> None:
        """Let the client watch, or close the socket with the right code.

        Raises:
            DisconnectedError: it is closed.
        """
        try:
            await self._admit(socket, scope)
            return
        except RefusedError as refused:
            code, reason = refused.code, refused.reason
        except DisconnectedError:
            raise
        except Exception as error:
            log_failure(_log, "socket failed, closing with 1011", error)
            code, reason = CloseCode.INTERNAL_ERROR, "internal error"
        self._metrics.refused(code)
        await socket.close_in_time(code, reason, self._limits.send_s)
        raise DisconnectedError

    async def _admit(self, socket: ServerSocket, scope: Scope) -> None:
        """Authenticate and authorize the client, and let it watch.

        Raises:
            RefusedError: the socket must be closed with a code other than 1000.
            DisconnectedError: the client is gone.
        """
        if self._lifecycle.is_stopping:
            raise RefusedError(CloseCode.SERVICE_RESTART, "restarting")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if _is_feed(scope):
            await self._admit_to_feed(socket, scope, query)
            return
        submission_id = _submission_id(scope)
        identity = await self._identity(scope, query, submission_id)
        after = _position(query, "after_seq")
        output_after = _position(query, "output_after") if _wants_output(query) else None
        epoch = query.get("epoch", [""])[-1] or None
        found = await self._visible(submission_id, identity)
        epoch = await self._epoch_of_run(found, query, epoch)
        await self._check_connect_rate(identity)
        async with AsyncExitStack() as stack:
            await self._take_slot(stack, _slot(submission_id, identity), self._limits.connections)
            stack.enter_context(socket.served())
            subscription = stack.enter_context(self._journal.subscribe(submission_id))
            events = self._journal.reader(subscription, submission_id, after, epoch)
            reader: Source = events
            if output_after is not None:
                output = stack.enter_context(self._journal.subscribe_to_output(submission_id))
                pieces = self._journal.output_reader(output, submission_id, output_after, epoch)
                reader = InterleavedReader(events, pieces)
            with log_context(submission=submission_id):
                self._let_watch(stack, socket, identity, reader)

    async def _admit_to_feed(self, socket: ServerSocket, scope: Scope, query: _Query) -> None:
        """The same for a feed. Raises what `_admit` does."""
        identity = await self._identity(scope, query, _NO_SUBMISSION)
        wanted = Wanted(self._owner_of_feed(identity, query), await self._problem(query))
        cursor = _cursor(query)
        await self._check_connect_rate(identity)
        async with AsyncExitStack() as stack:
            await self._take_slot(stack, f"feed:{identity.user_id}", self._limits.feeds)
            stack.enter_context(socket.served())
            most, with_output = self._limits.feed_submissions, _wants_output(query)
            feed = FeedReader(self._store, self._journal, wanted, cursor, most, with_output=with_output)
            stack.callback(feed.close)
            self._let_watch(stack, socket, identity, feed, feed.hear)

    def _owner_of_feed(self, identity: Identity, query: _Query) -> int | None:
        """Whose submissions a feed follows; None: everybody's. Without logins, all are of one user."""
        for_all = query.get("all", [""])[-1] == "true" and self._services.auth is not None
        action = Action.READ_ANY if for_all else Action.LIST_OWN
        if not identity.may(action):
            raise RefusedError(CloseCode.UNAUTHORIZED, refusal(identity.holder.credential, action))
        return None if for_all else identity.user_id

    def _let_watch(
        self,
        stack: AsyncExitStack,
        socket: ServerSocket,
        identity: Identity,
        reader: Source,
        hear: Callable[[str | bytes], None] | None = None,
    ) -> None:
        """Begin to send; what is in the stack is held until the end."""
        expires_s = self._identities.seconds_left(identity)
        watcher = Watcher(socket, reader, self._wheel, self._limits, self._metrics, expires_s, hear)
        stack.enter_context(self._identities.watched(identity, watcher.session_ended))
        watcher.start(held=stack.pop_all())

    async def _identity(self, scope: Scope, query: _Query, submission_id: int) -> Identity:
        try:
            return await self._identities.of_socket(_token(scope, query), submission_id, session_cookie.shown(scope))
        except UnauthenticatedError as error:
            raise RefusedError(CloseCode.UNAUTHORIZED, error.reason) from None

    async def _take_slot(self, stack: AsyncExitStack, key: str, limit: int) -> None:
        try:
            await stack.enter_async_context(self._limiter.slot(key, limit))
        except FullError:
            raise RefusedError(CloseCode.RATE_LIMITED, f"retry_after={self._limits.retry_after_s}") from None

    async def _problem(self, query: _Query) -> str | None:
        """The slug of the problem that a feed is about, if it is about one."""
        if "problem" not in query:
            return None
        slug = await self._services.slug(query["problem"][-1])
        if slug is None:
            raise RefusedError(CloseCode.NOT_FOUND, "problem not found")
        return slug

    async def _check_connect_rate(self, identity: Identity) -> None:
        if identity.is_limited:
            status = await self._limiter.take(self._connects, identity.limit_key)
            if status.retry_after:
                raise RefusedError(CloseCode.RATE_LIMITED, f"retry_after={status.seconds_to_wait}")

    async def _visible(self, submission_id: int, identity: Identity) -> Snapshot:
        try:
            owner_id = identity.owner_of_visible(submission_id)
            return await self._store.run(self._store.lookup.snapshot, submission_id, owner_id)
        except UnknownSubmissionError:
            raise RefusedError(CloseCode.NOT_FOUND, "submission not found") from None

    async def _epoch_of_run(self, found: Snapshot, query: _Query, epoch: str | None) -> str | None:
        """The name of the log of the run that the client names with `?run=`; otherwise the one that it named itself."""
        if "run" not in query:
            return epoch
        run = await self._store.run(self._store.lookup.of_run, found, run=_position(query, "run"))
        if run is None:
            raise RefusedError(CloseCode.NOT_FOUND, "run not found")
        if epoch not in (None, run.epoch):
            raise RefusedError(CloseCode.LOG_REPLACED, "the server's records were replaced")
        return run.epoch


def _slot(submission_id: int, identity: Identity) -> str:
    """What the sockets of a submission are counted under: those who follow a link do not keep its owner out."""
    is_link = identity.holder.credential is Credential.LINK
    return f"{submission_id} by link" if is_link else str(submission_id)


def _is_feed(scope: Scope) -> bool:
    return scope["path"] in (_FEED, f"{_FEED}/")


def _cursor(query: _Query) -> Cursor | None:
    if "cursor" not in query:
        return None
    try:
        return Cursor.of(query["cursor"][-1])
    except ValueError as error:
        raise RefusedError(CloseCode.POLICY_VIOLATION, f"cursor: {error}") from None


def _submission_id(scope: Scope) -> int:
    match = _PATH.match(scope["path"])
    if match is None or not _NUMBER.match(match[1]):
        raise RefusedError(CloseCode.NOT_FOUND, "submission not found")
    return int(match[1])


def _token(scope: Scope, query: _Query) -> str | None:
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


def _position(query: _Query, name: str) -> int:
    text = query.get(name, ["0"])[-1]
    if not _NUMBER.match(text):
        raise RefusedError(CloseCode.POLICY_VIOLATION, f"{name} must be a non-negative number")
    return int(text)


def _wants_output(query: Mapping[str, Sequence[str]]) -> bool:
    """Whether the client asks for what builds and tests print: `?events=output`. Other words may follow some day."""
    return OUTPUT in ",".join(query.get("events", ())).split(",")
