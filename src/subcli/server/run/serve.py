"""Running a server: everything that can fail before it is ready, then uvicorn until a signal."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from subcli.server.app import AuthConfig, create_app
from subcli.server.edge.origins import is_loopback
from subcli.server.edge.slow_requests import RequestProtocol
from subcli.server.gateway.socket import HEAD_BYTES, GatewayProtocol
from subcli.server.jobs.judging import Judge
from subcli.server.jobs.sandboxing import sandboxed_judge
from subcli.server.log.database import open_database
from subcli.server.log.store import Store
from subcli.server.run.data_dir import make_data_dir
from subcli.server.run.keys import signing_key
from subcli.server.run.shutdown import Lifecycle, Signals, close_gradually
from subcli.server.run.startup import find_problems, find_redis, show_metrics
from subcli.server.settings import Limits, Ready, ServeError, ServerSettings
from subcli.shared.protocol import MAX_MESSAGE_BYTES
from subcli.shared.secret import RedactingFilter

_BACKLOG: Final = 2048
_REDACTING: Final = RedactingFilter()


def run(settings: ServerSettings, *, on_ready: Callable[[Ready], None], judge: Judge | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then close every socket with 1012 and return.

    What is being judged then stays to be judged again by the next start.

    Args:
        on_ready: called once, when requests are answered.
        judge: another one is for tests; by default the real one, in the sandbox that the settings ask for.

    Raises:
        ServeError: it cannot start.
    """
    with ExitStack() as stack:
        make_data_dir(settings.data_dir)
        secured = _secured(settings)
        listener = stack.enter_context(_listen(settings.host, settings.port, everywhere=secured is not None))
        # A database of one's own choice may be shared; then a dead process's leases have to run out.
        is_alone = settings.database is None and settings.redis is None
        redis = find_redis(settings.redis)
        if is_alone:
            stack.enter_context(_only_server(settings.data_dir))
        problems = find_problems(settings.problems_dir)
        sandbox: tuple[str, ...] = ()
        if judge is None:
            judge, choice = sandboxed_judge(
                settings.sandbox,
                for_others=secured is not None,
                concurrency=settings.concurrency,
                data_dir=settings.data_dir,
                problems_dir=settings.problems_dir,
            )
            sandbox = tuple(finding.text for finding in choice.findings)
        engine = open_database(settings.database_url)
        if is_alone:
            # Whoever held a lease is dead, for we have the data directory to ourselves.
            _release_all(engine)
        app = create_app(
            engine,
            problems,
            judge,
            concurrency=settings.concurrency,
            limits=settings.limits,
            secured=secured,
            allowed_origins=settings.allowed_origins,
            redis=redis,
        )
        ready = Ready(
            url=_url(listener),
            data_dir=settings.data_dir,
            database=engine.url.render_as_string(hide_password=True),
            sandbox=sandbox,
        )
        if settings.metrics_address is not None:
            stack.callback(show_metrics(app.state.services.metrics, *settings.metrics_address))
        server = Server(
            app, settings.limits, lambda: on_ready(ready), settings.stop_with_stdin, settings.trusted_proxies
        )
        server.run(sockets=[listener])


def _secured(settings: ServerSettings) -> AuthConfig | None:
    wanted = settings.authentication
    return None if wanted is None else AuthConfig(signing_key(settings.data_dir, wanted.key), wanted.cost)


def _uvicorn_config(app: FastAPI, limits: Limits, trusted_proxies: Sequence[str]) -> uvicorn.Config:
    # A fault of a library's is logged with what it worked on.
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_was_cut_short)
    log.addFilter(_REDACTING)
    return uvicorn.Config(
        app,
        http=RequestProtocol,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws=GatewayProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=limits.heartbeat,
        # A peer that is gone is found by `Limits.idle` and by TCP; a slow one is not to be cut with 1011.
        ws_ping_timeout=None,
        # uvicorn logs URLs with their query, and so `?token=`, at the level INFO.
        access_log=False,
        log_level="warning",
        log_config=None,
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(limits.shutdown)),
        server_header=False,
        forwarded_allow_ips=["127.0.0.0/8", "::1", *trusted_proxies],
    )


def _was_cut_short(record: logging.LogRecord) -> bool:
    """No log line for a peer that had not hung up when we went: uvicorn then tells that it cancelled 0 tasks."""
    return not (record.args == (0,) and str(record.msg).startswith("Cancel "))


class Server(uvicorn.Server):
    """uvicorn's server that says when it is ready, goes down well, and returns after a signal instead of dying.

    Args:
        app: of `create_app`.
        on_started: called once, when requests are answered.
        with_stdin: stop when standard input ends.
        trusted_proxies: networks, as `ServerSettings.trusted_proxies`.
    """

    def __init__(
        self,
        app: FastAPI,
        limits: Limits,
        on_started: Callable[[], None],
        with_stdin: bool,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        super().__init__(_uvicorn_config(app, limits, trusted_proxies))
        self._lifecycle: Lifecycle = app.state.services.lifecycle
        self._limits = limits
        self._on_started = on_started
        self._with_stdin = with_stdin
        self._signals = Signals(self._stop, limits.deadline)

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._with_stdin:
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._wait_for_stdin, args=(loop,), daemon=True).start()
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, close the sockets one after the other, then what uvicorn does."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._lifecycle.stop()
        # Kept-alive HTTP connections stay until the end: who is about to ask is answered, and told to go.
        watching = [peer for peer in self.server_state.connections if isinstance(peer, GatewayProtocol)]
        await close_gradually(watching, self._limits)
        await super().shutdown(sockets)

    def _wait_for_stdin(self, loop: asyncio.AbstractEventLoop) -> None:
        # os.read, not sys.stdin: at the interpreter's end a thread that holds a file's lock is fatal.
        try:
            while os.read(0, 4096):
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
        before = {sig: signal.signal(sig, self._signals.handle) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            self._signals.cancel()
            for sig, handler in before.items():
                signal.signal(sig, handler)


@contextmanager
def _only_server(data_dir: Path) -> Iterator[None]:
    """Hold the data directory against a second server. The kernel lets go of it when the process dies."""
    with (data_dir / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServeError(
                f"Another server uses the data directory {data_dir}.", "Stop it, or name another directory."
            ) from error
        yield


def _release_all(engine: Engine) -> None:
    Store(engine, time.time).leases.release_all()


@contextmanager
def _listen(host: str, port: int, *, everywhere: bool) -> Iterator[socket.socket]:
    """A socket that listens, on a loopback address only unless it may be `everywhere`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ServeError(f"{host}:{port} is no address of this machine.", "Try --host 127.0.0.1.") from error
    if not everywhere and not all(is_loopback(str(address[4][0])) for address in found):
        raise ServeError(
            f"Without authentication the server listens on this machine only, not on {host}.",
            "Use --host 127.0.0.1, or turn logins on with --auth.",
        )
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            # Now, not later in uvicorn: on Linux a second socket may bind what nobody listens on yet.
            listener.listen(_BACKLOG)
        except OSError as error:
            raise _not_bound(error, host, port) from error
        yield listener


def _not_bound(error: OSError, host: str, port: int) -> ServeError:
    if error.errno == errno.EADDRINUSE:
        return ServeError(f"Port {port} on {host} is in use.", "Name another one with --port, or --port 0.")
    return ServeError(f"{host}:{port} cannot be listened on: {error.strerror}.", "Name another --port.")


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # Every address of this machine: loopback is one of them, and one that can be typed.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"
