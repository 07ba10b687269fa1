"""Running a server: everything that can fail before it is ready, then uvicorn until a signal."""

from __future__ import annotations

import errno
import gc
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from subcli.server.app import AuthConfig, create_app
from subcli.server.edge.origins import is_loopback
from subcli.server.jobs.judging import Judge
from subcli.server.log.database import open_database
from subcli.server.log.interruptions import Interruptions
from subcli.server.log.sharing import using
from subcli.server.run.server import BACKLOG, Server
from subcli.server.run.startup import (
    accepted_key,
    connect_redis,
    copied_problems,
    make_data_dir,
    prepare_judge,
    raise_descriptor_limit,
    serve_metrics,
    signing_key,
)
from subcli.server.settings import Ready, ServeError, ServerSettings

_COLLECT_AFTER: Final = 10_000
"""Objects, instead of 700: hardly any that requests and events make are part of a cycle."""


def run(settings: ServerSettings, *, on_ready: Callable[[Ready], None], judge: Judge | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then close every socket with 1012 and return.

    Submissions that are being judged at that time are judged again after the next start.

    Args:
        settings: how the server runs.
        on_ready: called once, when the server accepts requests.
        judge: tests pass their own; by default the real one, in the sandbox that the settings ask for.

    Raises:
        ServeError: the server cannot start.
    """
    raise_descriptor_limit()
    # FastAPI imports it, 1.5 MB, to see whether anything is a model of pydantic 1. Where it is not to be had, as with
    # Python 3.14, it knows that nothing is.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
    with ExitStack() as stack:
        make_data_dir(settings.data_dir)
        auth = _auth_config(settings)
        listener = stack.enter_context(listen(settings.host, settings.port, everywhere=auth is not None))
        redis = connect_redis(settings.redis)
        shelf = stack.enter_context(copied_problems(settings.problems_dir, settings.data_dir, settings.languages))
        service, sandbox = prepare_judge(
            settings, shelf.judgeable, judge, for_others=auth is not None, data_dir=settings.data_dir
        )
        engine = open_database(settings.database_url)
        stack.callback(engine.dispose)
        stack.enter_context(using(engine, joined=redis is not None))
        if redis is None:
            # This is the only process on the database, so the holders of its leases are dead. Elsewhere they expire.
            Interruptions(engine, time.time).take_back(settings.limits.attempts, running=True)
        app = create_app(
            engine,
            shelf.problems,
            service,
            limits=settings.limits,
            auth=auth,
            allowed_origins=settings.allowed_origins,
            redis=redis,
            root_path=settings.root_path,
            shelf=shelf,
            data_dir=settings.data_dir,
        )
        if settings.metrics_address is not None:
            stack.callback(serve_metrics(app.state.services.metrics, *settings.metrics_address))
        database = engine.url.render_as_string(hide_password=True)
        url = _url(listener) + settings.root_path
        page_token = app.state.services.page_token
        ready = Ready(url, settings.data_dir, database, page_token, sandbox)

        def started() -> None:
            _spare_collector()
            on_ready(ready)

        server = Server(app, settings.limits, started, settings.stop_with_stdin, settings.trusted_proxies)
        server.run(sockets=[listener])
        if (failure := app.state.services.lifecycle.failure) is not None:
            raise failure


def _spare_collector() -> None:
    """Have the cyclic garbage collector look seldom, and not at what stays: it took a sixth of a busy server's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _auth_config(settings: ServerSettings) -> AuthConfig | None:
    wanted = settings.authentication
    if wanted is None:
        return None
    key = signing_key(settings.data_dir, wanted.key)
    return AuthConfig(key, wanted.cost, accepted_key=accepted_key(settings.data_dir, wanted.accepted_key))


@contextmanager
def listen(host: str, port: int, *, everywhere: bool) -> Iterator[socket.socket]:
    """A listening socket. Without `everywhere`, only loopback addresses are allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ServeError(f"{host}:{port} is not an address of this machine.", "Try --host 127.0.0.1.") from error
    if not everywhere and not all(is_loopback(str(address[4][0])) for address in found):
        raise ServeError(
            f"Without authentication the server only listens on this machine, not on {host}.",
            "Use --host 127.0.0.1, or enable logins with --auth.",
        )
    family, _, _, _, address = found[0]
    # With the protocol named: asyncio sets TCP_NODELAY only then, and on a kept connection each response, which is a
    # head and a body, would wait 40 ms for the peer's delayed acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            # Not left to uvicorn: until somebody listens, Linux lets a second socket bind the same port.
            listener.listen(BACKLOG)
        except OSError as error:
            raise _bind_error(error, host, port) from error
        yield listener


def _bind_error(error: OSError, host: str, port: int) -> ServeError:
    if error.errno == errno.EADDRINUSE:
        return ServeError(f"Port {port} on {host} is in use.", "Choose another one with --port, or use --port 0.")
    return ServeError(f"Cannot listen on {host}:{port}: {error.strerror}.", "Choose another --port.")


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # For wildcard addresses, show loopback, which clients on this machine can connect to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"
