"""What load balancers, supervisors and Prometheus ask. Outside of `/api`, and nobody's data.

`/healthz`: the process answers. `/readyz`: send it work, or do not. `/metrics`: only to this machine, by a name of it,
and not through a proxy, for what a process counts is no visitor's business; elsewhere `--metrics-address` shows it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException

from subcli.server.edge.origins import is_loopback, is_loopback_name
from subcli.server.parts import Services

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = 2.0
"""Seconds that the database and Redis may take to answer."""
_FORWARDED: Final = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")


def add_health(app: FastAPI, services: Services) -> None:
    """Add the three paths."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        state = await _state(services)
        return JSONResponse(state, 200 if state["ready"] else 503)

    # Not a coroutine: what is asked for then may block.
    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        if not _is_from_here(request):
            raise HTTPException(404)
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _state(services: Services) -> dict[str, Any]:
    """Without Redis everything works, only slower: its absence is told, and no reason to be sent no work."""
    database = await _is_database_up(services)
    stopping = services.lifecycle.is_stopping
    return {
        "ready": database and not stopping,
        "stopping": stopping,
        "database": "up" if database else "down",
        "redis": "none" if services.redis is None else "up" if await _answers(services.redis) else "down",
    }


async def _answers(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await redis.ping()
    except Exception:
        return False
    return True


def ask_redis(redis: Redis, loop: asyncio.AbstractEventLoop) -> float:
    """1 where Redis answers, else 0; from another thread than the loop's."""
    return float(asyncio.run_coroutine_threadsafe(_answers(redis), loop).result(2 * _PATIENCE))


async def _is_database_up(services: Services) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await services.store.run(services.store.lookup.ping)
    except Exception as error:
        _log.warning("not ready, for the database does not answer: %r", getattr(error, "orig", error))
        return False
    return True


def _is_from_here(request: Request) -> bool:
    # A proxy need not say that it is one; then the name that was asked for may still tell. So it does of a page whose
    # name was made to lead here (DNS rebinding).
    host = request.headers.get("host", "")
    if any(name in request.headers for name in _FORWARDED) or not is_loopback_name(f"//{host}"):
        return False
    return request.client is not None and is_loopback(request.client.host)
