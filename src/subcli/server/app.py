"""The application: REST and OpenAPI by FastAPI, sockets by the gateway, and the tasks behind them."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from subcli.judge import Problem
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.identity import DemoIdentities, Identities, TokenIdentities
from subcli.server.accounts.logins import Logins
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.tokens import Tokens
from subcli.server.api.health import add_health, ask_redis
from subcli.server.api.pages import add_pages
from subcli.server.api.rest import make_router
from subcli.server.edge.access import Access
from subcli.server.edge.guard import Guard
from subcli.server.edge.origins import OriginRules, OwnPages, ThisMachine
from subcli.server.gateway.gateway import Gateway
from subcli.server.jobs.judging import Judge
from subcli.server.jobs.workers import Workers
from subcli.server.limits import LimitedError, Limiter, MemoryLimiter, Rate
from subcli.server.log.store import Store
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import AuthServices, Backbone, Services
from subcli.server.run.shutdown import Lifecycle
from subcli.server.settings import Limits, PasswordCost

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log: Final = logging.getLogger(__name__)
_DESCRIPTION: Final = """\
Hand in code over REST, then follow it over `WS /ws/submissions/{id}?after_seq=N`: every event after N, then
the live ones; after `complete` the server closes with 1000.
"""


@dataclass(frozen=True)
class AuthConfig:
    """How an application with logins is made: the signing key, and the cost of a password's hash."""

    key: bytes
    cost: PasswordCost = field(default_factory=PasswordCost)


def create_app(
    engine: Engine,
    problems: Mapping[str, Problem],
    judge: Judge,
    *,
    concurrency: int = 1,
    limits: Limits | None = None,
    secured: AuthConfig | None = None,
    allowed_origins: Collection[str] = (),
    redis: Redis | None = None,
) -> FastAPI:
    """The ASGI application of a server.

    Args:
        engine: from `open_database`; the application gives up its connections when it ends.
        problems: by slug.
        judge: as `subcli.judge.judge`.
        concurrency: how many submissions are judged at the same time; 0 for none here.
        secured: None for demo mode.
        allowed_origins: whose pages may use it beside its own, as `normal_origin` gives them.
        redis: joins it to other gateways and workers on the same database; the application closes it when it
            ends. None: it is alone.
    """
    limits = limits or Limits()
    metrics = Metrics()
    backbone = Backbone(engine, limits, redis)
    store, journal, queue = backbone.store, backbone.journal, backbone.queue
    metrics.ask("subcli_queue_length", "Submissions that wait for a worker.", store.leases.queue_length)
    workers = Workers(store, journal, queue, problems, judge, concurrency, limits, metrics.judged)
    limiter = _limiter(limits, redis)
    identities, authority = _authority(engine, store, limiter, limits, secured)
    lifecycle = Lifecycle()
    submits = Rate("submits", limits.submits, limits.rate_window)
    services = Services(
        store, journal, queue, problems, identities, authority, limiter, submits, redis, metrics, lifecycle
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if redis is not None:
            ask = functools.partial(ask_redis, redis, asyncio.get_running_loop())
            metrics.ask("subcli_redis_up", "Whether Redis answers.", ask)
        async with backbone.running(workers.run(), limiter.run()) as working:
            # What is being judged goes back at once, to whoever is there to go on with it.
            lifecycle.when_stopping(working.cancel)
            yield
            if authority is not None:
                authority.logins.close()

    app = FastAPI(
        title="subcli",
        version=version("subcli-watch"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.include_router(make_router(services), prefix="/api")
    add_pages(app)
    add_health(app, services)
    _add_error_handlers(app)
    origins: OriginRules = ThisMachine(allowed_origins) if secured is None else OwnPages(allowed_origins)
    _add_middleware(app, services, limits, origins, allowed_origins)
    return app


def _limiter(limits: Limits, redis: Redis | None) -> Limiter:
    local = MemoryLimiter(time.monotonic)
    if redis is None:
        return local
    from subcli.server.redis.limits import RedisLimiter

    return RedisLimiter(redis, local, limits.slot_lease)


def _add_middleware(
    app: FastAPI, services: Services, limits: Limits, origins: OriginRules, allowed_origins: Collection[str]
) -> None:
    """Outermost the one that names and counts; then the guard, and within it what tells browsers which other pages
    may read the answers, and what counts the bytes of a body. (As `FastAPI(max_body_size=…)` that would be outermost.)
    """
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=limits.body_bytes)
    if allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"],
        )
    app.add_middleware(
        Guard,
        gateway=Gateway(services, limits),
        origins=origins,
        lifecycle=services.lifecycle,
        body_bytes=limits.body_bytes,
    )
    app.add_middleware(Access, metrics=services.metrics)


def _authority(
    engine: Engine, store: Store, limiter: Limiter, limits: Limits, secured: AuthConfig | None
) -> tuple[Identities, AuthServices | None]:
    if secured is None:
        return DemoIdentities(), None
    accounts = Accounts(engine, time.time, limits, secured.key)
    tokens = Tokens(secured.key, limits, time.time)
    logins = Logins(store, accounts, tokens, Passwords(secured.cost), limiter, limits)
    return TokenIdentities(store, accounts, tokens), AuthServices(logins, tokens)


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is `{"detail": a sentence}` (contract, section 6)."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": _sentence(error.errors())}, 422)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        # Those that FastAPI raises itself have no full stop.
        detail = f"{str(error.detail).rstrip('.')}."
        return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)

    @app.exception_handler(LimitedError)
    async def limited(_request: Request, error: LimitedError) -> JSONResponse:
        standing = error.standing
        content = {"detail": error.detail, "retry_after": standing.seconds_to_wait}
        return JSONResponse(content, 429, headers=dict(standing.headers()))

    @app.exception_handler(SQLAlchemyError)
    async def database_away(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        _log.error("the database did not answer: %s", getattr(error, "orig", error))
        detail = "The server's database does not answer; try again."
        return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "2"})


def _sentence(errors: Any) -> str:
    """What is wrong with the first field that is wrong, without repeating what was sent."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return "The request body is not valid JSON."
    where = ".".join(str(part)[:64] for part in first["loc"][1:]) or "the request body"
    return f"{where}: {first['msg']}."
