"""The ASGI application: REST by FastAPI, sockets by the gateway, and their background tasks."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import Engine
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from subcli.judge import Problem
from subcli.judge.shelf import Shelf
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.identity import DemoIdentities, Identities, TokenIdentities
from subcli.server.accounts.logins import Logins
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.tokens import TokenIssuer
from subcli.server.api.errors import add_error_handlers, add_upgrade_required
from subcli.server.api.health import add_health, redis_up
from subcli.server.api.rest import make_router
from subcli.server.edge.access import AccessLogMiddleware
from subcli.server.edge.guard import GuardMiddleware
from subcli.server.edge.origins import LoopbackOnly, OriginRules, SameOrigin
from subcli.server.edge.page_token import HEADER, PageTokenMiddleware
from subcli.server.edge.prefix import PrefixMiddleware
from subcli.server.gateway.gateway import Gateway
from subcli.server.jobs.judges import Judges
from subcli.server.jobs.service import Service, is_judging
from subcli.server.jobs.versions import Versions
from subcli.server.jobs.workers import Workers
from subcli.server.limits import Limiter, MemoryLimiter, Rate
from subcli.server.log.store import Store
from subcli.server.observe.disk import Disk, directory_of
from subcli.server.observe.metrics import Metrics
from subcli.server.pages.site import make_pages
from subcli.server.parts import AuthServices, Backbone, Services
from subcli.server.run.shutdown import Lifecycle
from subcli.server.settings import PasswordCost, ServerLimits

if TYPE_CHECKING:
    from redis.asyncio import Redis

_DESCRIPTION: Final = """\
Submit code over REST, then follow it over `WS /ws/submissions/{id}?after_seq=N`: every event after N, then live
events. After `complete` the server closes with 1000.
"""


@dataclass(frozen=True)
class AuthConfig:
    """Settings of an application with logins.

    Attributes:
        key: signs tokens.
        cost: of password hashes.
        clock: Unix time in seconds, by which sessions, tokens and links expire.
        accepted_key: what it has signed is accepted as well.
    """

    key: bytes
    cost: PasswordCost = field(default_factory=PasswordCost)
    clock: Callable[[], float] = time.time
    accepted_key: bytes | None = None


def create_app(
    engine: Engine,
    problems: Mapping[str, Problem],
    service: Service | None,
    *,
    limits: ServerLimits | None = None,
    auth: AuthConfig | None = None,
    allowed_origins: Collection[str] = (),
    redis: Redis | None = None,
    root_path: str = "",
    shelf: Shelf | None = None,
    data_dir: Path | None = None,
) -> FastAPI:
    """Create the ASGI application of a server.

    Args:
        engine: from `open_database`; the application disposes of its connections when it ends.
        problems: by slug; without a `shelf`, they never change.
        service: judges submissions; None if other processes do.
        limits: the defaults if None.
        auth: None for demo mode.
        allowed_origins: origins that may use the server in addition to its own, as returned by `normalize_origin`.
        redis: connects the server to other gateways and workers on the same database; the application closes it
            when it ends. None for a single process.
        root_path: the path under which a proxy serves it, such as `/judge`.
        shelf: the versions of the problems, which the application keeps up to date.
        data_dir: where the server writes besides the database.
    """
    limits = limits or ServerLimits()
    backbone = Backbone(engine, limits, redis)
    versions = None if shelf is None else Versions(shelf, backbone.store, limits.problem_mb, limits.problem_cache_mb)
    disk = Disk(directory_of(engine, data_dir), limits.disk_free_percent)
    services = _make_services(engine, backbone, problems, limits, auth, redis, service, versions, disk)
    parts = (backbone.store, backbone.journal, backbone.queue)
    judgeable = problems if shelf is None else shelf.judgeable
    for_others = redis is not None
    workers = Workers(*parts, judgeable, service, limits, services.metrics, versions, for_others=for_others)
    app = FastAPI(
        title="subcli",
        version=version("subcli-watch"),
        description=_DESCRIPTION,
        lifespan=_make_lifespan(services, backbone, workers),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    # Not by `include_router`, which builds each route once more at its first request.
    app.router.routes += make_router(services).routes
    app.router.routes += make_pages(services).routes
    add_health(app, services)
    add_upgrade_required(app)
    add_error_handlers(app)
    origins: OriginRules = LoopbackOnly(allowed_origins) if auth is None else SameOrigin(allowed_origins)
    _add_middleware(app, services, limits, origins, allowed_origins)
    if root_path:
        app.add_middleware(PrefixMiddleware, root_path=root_path)
    return app


def _make_services(
    engine: Engine,
    backbone: Backbone,
    problems: Mapping[str, Problem],
    limits: ServerLimits,
    auth: AuthConfig | None,
    redis: Redis | None,
    service: Service | None,
    versions: Versions | None,
    disk: Disk,
) -> Services:
    limiter = _make_limiter(limits, redis)
    identities, auth_services = _make_auth(engine, backbone.store, limiter, limits, auth, service)
    metrics = Metrics()
    metrics.add_gauge(
        "subcli_disk_free_ratio", "Share of the disk that is free where the server writes.", disk.free_ratio
    )
    return Services(
        store=backbone.store,
        journal=backbone.journal,
        queue=backbone.queue,
        problems=problems,
        identities=identities,
        auth=auth_services,
        page_token=None if auth_services else secrets.token_urlsafe(32),
        limiter=limiter,
        submits=Rate("submits", limits.submits, limits.rate_window_s),
        reads=Rate("reads", limits.reads, limits.rate_window_s),
        watch_tokens=Rate("watch-tokens", limits.watch_tokens, limits.rate_window_s),
        redis=redis,
        metrics=metrics,
        lifecycle=Lifecycle(),
        service=service,
        versions=versions,
        judges=Judges(backbone.store, service, limits),
        disk=disk,
    )


def _make_limiter(limits: ServerLimits, redis: Redis | None) -> Limiter:
    local = MemoryLimiter(time.monotonic)
    if redis is None:
        return local
    from subcli.server.redis.limits import RedisLimiter

    return RedisLimiter(redis, local, limits.slot_lease_s)


def _make_auth(
    engine: Engine,
    store: Store,
    limiter: Limiter,
    limits: ServerLimits,
    auth: AuthConfig | None,
    service: Service | None,
) -> tuple[Identities, AuthServices | None]:
    if auth is None:
        return DemoIdentities(), None
    accounts = Accounts(engine, auth.clock, limits, auth.key, auth.accepted_key)
    tokens = TokenIssuer(auth.key, limits, auth.clock, auth.accepted_key)
    logins = Logins(store, accounts, tokens, Passwords(auth.cost), limiter, limits, is_judging(service))
    return TokenIdentities(store, accounts, tokens, limits), AuthServices(accounts, logins, tokens)


def _make_lifespan(
    services: Services, backbone: Backbone, workers: Workers
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if services.redis is not None:
            read = functools.partial(redis_up, services.redis, asyncio.get_running_loop())
            services.metrics.add_gauge("subcli_redis_up", "Whether Redis answers.", read)
        others = [services.limiter.run(), services.identities.run()]
        if services.auth is not None:
            others.append(services.auth.logins.run())
        async with backbone.running(workers.run(), *others, on_failure=services.lifecycle.fail) as working:
            # Return running jobs at once, so that another worker can take them.
            services.lifecycle.when_stopping(working.cancel)
            yield
            if services.auth is not None:
                services.auth.logins.close()

    return lifespan


def _add_middleware(
    app: FastAPI, services: Services, limits: ServerLimits, origins: OriginRules, allowed_origins: Collection[str]
) -> None:
    """Add the middleware, innermost first: body limit, page token, CORS, guard, access log.

    `FastAPI(max_body_size=...)` is not used because it would put the body limit outermost.
    """
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=limits.body_bytes)
    if services.page_token is not None:
        app.add_middleware(PageTokenMiddleware, token=services.page_token)
    if allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allowed_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", HEADER],
            expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"],
        )
    app.add_middleware(
        GuardMiddleware,
        gateway=Gateway(services, limits),
        origins=origins,
        lifecycle=services.lifecycle,
        body_bytes=limits.body_bytes,
    )
    app.add_middleware(AccessLogMiddleware, metrics=services.metrics)
