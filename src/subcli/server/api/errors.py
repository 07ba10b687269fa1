"""Error responses: every error is `{"detail": a sentence}` (contract, section 6), some with a `code` for programs, or a
page with it for browsers.
"""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from subcli.server.accounts.hashing import BusyError
from subcli.server.limits import LimitedError
from subcli.server.log.records import ClosedError, NoAttemptsLeftError
from subcli.server.observe.disk import RETRY_AFTER_S, LowSpaceError
from subcli.server.pages.rendering import error_page
from subcli.shared.encoding import timestamp

_log: Final = logging.getLogger(__name__)
_FOR_PROGRAMS: Final = ("/api/", "/ws/", "/static/", "/metrics", "/healthz", "/readyz", "/attempts/", "/openapi.json")
"""How the paths begin where errors are JSON, whoever asks."""


def add_error_handlers(app: FastAPI) -> None:
    """Turn every exception of a route into a response with a `detail`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _respond(request, 422, _sentence(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        # Exceptions that FastAPI itself raises have no full stop.
        return _respond(request, error.status_code, f"{str(error.detail).rstrip('.')}.", error.headers)

    @app.exception_handler(LimitedError)
    async def limited(request: Request, error: LimitedError) -> Response:
        more = {"retry_after": error.status.seconds_to_wait}
        return _respond(request, 429, error.detail, error.status.headers(), more)

    @app.exception_handler(ClosedError)
    async def closed(request: Request, error: ClosedError) -> Response:
        more = {"code": "problem_closed", "closes": timestamp(error.closes_at)}
        return _respond(request, 409, str(error), more=more)

    @app.exception_handler(NoAttemptsLeftError)
    async def no_attempts_left(request: Request, error: NoAttemptsLeftError) -> Response:
        more = {"code": "no_attempts_left", "max_attempts": error.allowed, "attempts_used": error.used}
        return _respond(request, 409, str(error), more=more)

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        detail = f"Too many logins at the same time; try again in {error.retry_after} s."
        headers = {"Retry-After": str(error.retry_after)}
        return _respond(request, 503, detail, headers, {"retry_after": error.retry_after})

    @app.exception_handler(LowSpaceError)
    async def low_space(request: Request, error: LowSpaceError) -> Response:
        detail = f"The server accepts no submissions at the moment: {error}."
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return _respond(request, 503, detail, headers, {"retry_after": RETRY_AFTER_S})

    @app.exception_handler(SQLAlchemyError)
    async def database_down(request: Request, error: SQLAlchemyError) -> Response:
        _log.error("the database did not answer: %s", getattr(error, "orig", error))
        detail = "The server's database does not answer; try again."
        return _respond(request, 503, detail, {"Retry-After": "2"})


def _respond(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """A page for a browser that asks for one, otherwise JSON.

    Args:
        more: fields besides `detail`.
    """
    if _wants_page(request):
        response = error_page(request, status, detail)
        response.headers.update(headers or {})
        return response
    return JSONResponse({"detail": detail, **(more or {})}, status, headers=headers)


def _wants_page(request: Request) -> bool:
    is_for_programs = request.scope["path"].startswith(_FOR_PROGRAMS)
    return not is_for_programs and "text/html" in request.headers.get("accept", "").lower()


def add_upgrade_required(app: FastAPI) -> None:
    """Answer a handshake that has lost its `Upgrade` header: 426 (RFC 9110 section 15.5.22), not 404."""

    @app.get("/ws/submissions/{submission_id}", include_in_schema=False)
    def upgrade_required(submission_id: str) -> None:
        detail = "This is a WebSocket: a proxy in between may not pass on the `Upgrade` header."
        raise HTTPException(426, detail, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


def _sentence(errors: Any) -> str:
    """Describes the first invalid field without repeating its value."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return "The request body is not valid JSON."
    where = ".".join(str(part)[:64] for part in first["loc"][1:]) or "the request body"
    return f"{where}: {first['msg']}."
