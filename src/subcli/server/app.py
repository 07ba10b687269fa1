"""The application: REST and OpenAPI by FastAPI, sockets by the gateway, and the tasks behind them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from subcli.judge import Problem
from subcli.server.bus import MemoryBus
from subcli.server.feed import Journal
from subcli.server.gateway import Gateway
from subcli.server.guard import Guard
from subcli.server.jobs import MemoryQueue
from subcli.server.rest import make_router
from subcli.server.schema import DEMO_USER
from subcli.server.services import Services
from subcli.server.settings import Limits
from subcli.server.store import Store
from subcli.server.worker import Judge, Workers

_log: Final = logging.getLogger(__name__)
_STATIC: Final = Path(__file__).with_name("static")
_DESCRIPTION: Final = """\
Hand in code over REST, then follow it over `WS /ws/submissions/{id}?after_seq=N`: every event after N, then
the live ones; after `complete` the server closes with 1000.
"""
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(
    engine: Engine,
    problems: Mapping[str, Problem],
    judge: Judge,
    *,
    concurrency: int = 1,
    limits: Limits | None = None,
) -> FastAPI:
    """The ASGI application of a server in demo mode.

    Args:
        engine: from `open_database`; the application gives up its connections when it ends.
        problems: by slug.
        judge: as `subcli.judge.judge`.
        concurrency: how many submissions are judged at the same time; 0 for none here.
    """
    limits = limits or Limits()
    bus = MemoryBus(limits.tail_records, limits.tail_bytes)
    store = Store(engine, time.time)
    journal = Journal(store, bus, limits.compare)
    queue = MemoryQueue()
    workers = Workers(store, journal, queue, problems, judge, concurrency, limits)
    services = Services(store, journal, queue, workers, problems, DEMO_USER)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = {asyncio.create_task(workers.run()), asyncio.create_task(journal.compare_positions())}
        for task in tasks:
            task.add_done_callback(_log_failure)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        store.close()

    app = FastAPI(
        title="subcli",
        version=version("subcli-watch"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        max_body_size=limits.body_bytes,
    )
    app.include_router(make_router(services), prefix="/api")
    _add_pages(app)
    _add_error_handlers(app)
    gateway = Gateway(store, journal, DEMO_USER, limits)
    app.add_middleware(Guard, gateway=gateway)
    return app


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a task of the server ended: %r", error, exc_info=error)


def _add_pages(app: FastAPI) -> None:
    @app.get("/submissions/{submission_id}", include_in_schema=False)
    def submission_page(submission_id: int) -> Response:
        return FileResponse(_STATIC / "submission.html", headers=_PAGE_HEADERS)

    @app.get("/static/submission.js", include_in_schema=False)
    def submission_script() -> Response:
        return FileResponse(_STATIC / "submission.js", media_type="text/javascript", headers=_PAGE_HEADERS)


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

    @app.exception_handler(SQLAlchemyError)
    async def database_away(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        _log.error("the database did not answer: %s", getattr(error, "orig", error))
        detail = "The server's database does not answer; try again."
        return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "2"})

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> JSONResponse:
        # Starlette logs it.
        return JSONResponse({"detail": "The server failed; this is its fault, not yours."}, 500)


def _sentence(errors: Any) -> str:
    """What is wrong with the first field that is wrong, without repeating what was sent."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return "The request body is not valid JSON."
    where = ".".join(str(part)[:64] for part in first["loc"][1:]) or "the request body"
    return f"{where}: {first['msg']}."
