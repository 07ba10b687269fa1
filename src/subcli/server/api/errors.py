"""Error responses: every error is `{"detail": a sentence}` (contract, section 6)."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from subcli.server.accounts.hashing import BusyError
from subcli.server.limits import LimitedError
from subcli.server.observe.disk import RETRY_AFTER_S, LowSpaceError

_log: Final = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Turn every exception of a route into a response with a `detail`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": _sentence(error.errors())}, 422)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        # Exceptions that FastAPI itself raises have no full stop.
        detail = f"{str(error.detail).rstrip('.')}."
        return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)

    @app.exception_handler(LimitedError)
    async def limited(_request: Request, error: LimitedError) -> JSONResponse:
        content = {"detail": error.detail, "retry_after": error.status.seconds_to_wait}
        return JSONResponse(content, 429, headers=dict(error.status.headers()))

    @app.exception_handler(BusyError)
    async def busy(_request: Request, error: BusyError) -> JSONResponse:
        detail = f"Too many logins at the same time; try again in {error.retry_after} s."
        content = {"detail": detail, "retry_after": error.retry_after}
        return JSONResponse(content, 503, headers={"Retry-After": str(error.retry_after)})

    @app.exception_handler(LowSpaceError)
    async def low_space(_request: Request, error: LowSpaceError) -> JSONResponse:
        detail = f"The server accepts no submissions at the moment: {error}."
        content = {"detail": detail, "retry_after": RETRY_AFTER_S}
        return JSONResponse(content, 503, headers={"Retry-After": str(RETRY_AFTER_S)})

    @app.exception_handler(SQLAlchemyError)
    async def database_down(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        _log.error("the database did not answer: %s", getattr(error, "orig", error))
        detail = "The server's database does not answer; try again."
        return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "2"})


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
