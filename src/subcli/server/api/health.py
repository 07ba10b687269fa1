"""Health checks and metrics, for load balancers, supervisors and Prometheus. Outside `/api`, and without user data.

`/healthz`: the process is alive. `/readyz`: whether to send it requests. `/metrics`, and `/attempts/ID`, which workers
claimed a submission: only for this machine, addressed by a loopback name and not through a proxy, because they are
private to operators; `--metrics-address` exposes metrics elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import FastAPI, Path, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException

from subcli.server.edge.origins import is_loopback, parse_host
from subcli.server.parts import Services
from subcli.shared.encoding import timestamp

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log: Final = logging.getLogger(__name__)
_FRESH_S: Final = 1.0
"""How old what `/readyz` tells of the database and Redis may be."""
_CHECK_TIMEOUT_S: Final = 2.0
"""How long the database and Redis may take to answer."""
SubmissionId = Annotated[int, Path(ge=1, lt=1 << 63)]
_PROXY_HEADERS: Final = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")


def add_health(app: FastAPI, services: Services) -> None:
    """Add `/healthz`, `/readyz`, `/metrics` and `/attempts/ID`."""
    backends = _Backends(services)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        state = await _state(services, backends)
        return JSONResponse(state, 200 if state["ready"] else 503)

    # Not a coroutine, because gauges that are read on demand may block.
    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        if not _is_local(request):
            raise HTTPException(404)
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @app.get("/attempts/{submission_id}", include_in_schema=False)
    async def attempts(request: Request, submission_id: SubmissionId) -> Response:
        if not _is_local(request):
            raise HTTPException(404)
        # A row for each claim, with its first attempt. A claim that was judged again alone covers two attempts.
        made = await services.store.run(services.store.lookup.attempts, submission_id)
        rows = [{"attempt": a.attempt, "worker": a.worker, "started_at": timestamp(a.started_at)} for a in made]
        return JSONResponse({"submission_id": submission_id, "attempts": rows})


async def _state(services: Services, backends: _Backends) -> dict[str, Any]:
    """The body of `/readyz`. Without Redis everything works, only slower, so the server stays ready.

    It does so as well if nobody judges, or the disk is nearly full: it still serves those who watch.
    """
    is_up, redis = await backends.look()
    judging = await services.judges.look()
    complaint = await services.disk.complaint()
    stopping = services.lifecycle.is_stopping
    return {
        "ready": is_up and not stopping,
        "stopping": stopping,
        "database": "up" if is_up else "down",
        "redis": redis,
        "judging": judging.words,
        "problems": _problems(services),
        "disk": f"submissions are refused: {complaint}" if complaint else "enough",
    }


def _problems(services: Services) -> str:
    """How many problems are in service, and whether all of them are as their authors left them; names are private."""
    count, versions = len(services.problems), services.versions
    in_service = f"{count} in service"
    if versions is None or not versions.shelf.broken:
        return in_service
    return f"{in_service}; {len(versions.shelf.broken)} not valid as they are now, see the log"


async def _is_redis_up(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await redis.ping()
    except Exception:
        return False
    return True


def redis_up(redis: Redis, loop: asyncio.AbstractEventLoop) -> float:
    """1.0 if Redis answers, else 0.0. Call it from another thread than the loop's."""
    return float(asyncio.run_coroutine_threadsafe(_is_redis_up(redis), loop).result(2 * _CHECK_TIMEOUT_S))


class _Backends:
    """Whether database and Redis are up, checked at most once in `_FRESH_S`, however many clients ask."""

    def __init__(self, services: Services) -> None:
        self._database = _Database(services)
        self._redis = services.redis
        self._looking: asyncio.Task[tuple[bool, str]] | None = None
        self._looked_at = 0.0

    async def look(self) -> tuple[bool, str]:
        """Whether the database is up, and the state of Redis."""
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked_at >= _FRESH_S):
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> tuple[bool, str]:
        redis = "none" if self._redis is None else "up" if await _is_redis_up(self._redis) else "down"
        is_up = await self._database.is_up()
        self._looked_at = time.monotonic()
        return is_up, redis


class _Database:
    """Tries a write: a full or read-only database answers queries but cannot store submissions."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._trying: asyncio.Task[None] | None = None

    async def is_up(self) -> bool:
        # While a write hangs, all requests wait for that one: many of them must not use up the store's threads.
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._store.run(self._store.try_to_write))
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                await asyncio.shield(self._trying)
        except Exception as error:
            _log.warning("not ready, because the database cannot be written: %r", getattr(error, "orig", error))
            return False
        return True


def _is_local(request: Request) -> bool:
    # A proxy need not add headers; then the `Host` may still give it away. The `Host` also reveals DNS rebinding.
    host = parse_host(request.headers.get("host", ""))
    if any(name in request.headers for name in _PROXY_HEADERS) or host is None or not host.is_this_machine:
        return False
    return request.client is not None and is_loopback(request.client.host)
