"""uvicorn as subcli runs it: its configuration, readiness, signals and graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import uvicorn
from fastapi import FastAPI

from subcli.server.edge.clients import Clients
from subcli.server.edge.crowd import Crowd, room_for_clients
from subcli.server.edge.slow_requests import RequestProtocol
from subcli.server.edge.turns import Turns
from subcli.server.gateway.socket import MAX_HEAD_BYTES, GatewayProtocol
from subcli.server.jobs.service import is_judging
from subcli.server.run.shutdown import Lifecycle, Signals, close_gradually
from subcli.server.settings import ServerLimits
from subcli.shared.platform import HERE
from subcli.shared.protocol import MAX_MESSAGE_BYTES
from subcli.shared.secret import RedactingFilter

BACKLOG: Final = 2048
"""How many connections the kernel keeps that were not accepted yet,"""
_ACCEPTED_AT_ONCE: Final = 32
"""and how many asyncio accepts before those that are too many can be closed."""
KEEP_ALIVE_S: Final = 20
"""How long an idle connection is kept. Longer than HTTP clients keep theirs (httpx 5 s, our nginx 4 s), or they would
send a request at the moment in which it is closed."""
_REDACTING: Final = RedactingFilter()


def _uvicorn_config(app: FastAPI, limits: ServerLimits, trusted_proxies: Sequence[str]) -> uvicorn.Config:
    # uvicorn logs its own exceptions together with the data that caused them.
    log = logging.getLogger("uvicorn.error")
    log.addFilter(is_worth_logging)
    log.addFilter(_REDACTING)
    crowd = Crowd(min(limits.clients, room_for_clients()), limits.clients_address, trusted_proxies)
    clients = Clients(crowd, app.state.services.identities.counts_as)
    turns = Turns(is_judging(app.state.services.service))
    return uvicorn.Config(
        app,
        http=partial(RequestProtocol, crowd=crowd, clients=clients, turns=turns),  # type: ignore[arg-type]
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws=GatewayProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        # The gateway pings its watchers itself, all with one timer. Dead peers are detected by `ServerLimits.idle_s`
        # and TCP. Slow ones must not be disconnected with 1011.
        ws_ping_interval=None,
        ws_ping_timeout=None,
        # uvicorn logs URLs with their query, and so `?token=`.
        access_log=False,
        log_level="warning",
        log_config=None,
        lifespan="on",
        backlog=_ACCEPTED_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(limits.shutdown_s)),
        server_header=False,
        forwarded_allow_ips=["127.0.0.0/8", "::1", *trusted_proxies],
    )


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Drops uvicorn's message that it cancelled 0 tasks, logged if a peer is still connected at shutdown."""
    return not (record.args == (0,) and str(record.msg).startswith("Cancel "))


class Server(uvicorn.Server):
    """A uvicorn server that reports when it is ready, shuts down gradually, and returns after a signal.

    Args:
        app: from `create_app`.
        limits: times of the shutdown.
        on_started: called once, when the server accepts requests.
        stop_with_stdin: stop when standard input ends.
        trusted_proxies: as in `ServerSettings.trusted_proxies`.
    """

    def __init__(
        self,
        app: FastAPI,
        limits: ServerLimits,
        on_started: Callable[[], None],
        stop_with_stdin: bool,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        super().__init__(_uvicorn_config(app, limits, trusted_proxies))
        self._lifecycle: Lifecycle = app.state.services.lifecycle
        self._limits = limits
        self._on_started = on_started
        self._stop_with_stdin = stop_with_stdin
        self._signals = Signals(self._stop, limits.deadline_s)
        self._lifecycle.when_failed(lambda: self._signals.begin(signal.SIGTERM))

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            # asyncio has set it to the number that it accepts at once.
            listener.listen(BACKLOG)
        if self._stop_with_stdin:
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._wait_for_stdin, args=(loop,), daemon=True).start()
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, close the sockets gradually, then shut down uvicorn."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._lifecycle.stop()
        # Kept-alive HTTP connections stay open until the end, so that requests on them get `Connection: close`.
        sockets_open = [peer for peer in self.server_state.connections if isinstance(peer, GatewayProtocol)]
        await close_gradually(sockets_open, self._limits)
        await super().shutdown(sockets)

    def _wait_for_stdin(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not through sys.stdin, because a thread holding the lock of sys.stdin crashes the interpreter when it exits.
        try:
            while HERE.descriptors.read_into(0, bytearray(4096)):
                pass
        except OSError:
            pass
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._signals.handle, signal.SIGTERM)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {sig: signal.signal(sig, self._signals.handle) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            self._signals.cancel()
            for sig, handler in previous.items():
                signal.signal(sig, handler)
