"""Request bodies, read by the routes themselves.

FastAPI would read and parse a body before it looks at who sent it, so that anybody could have 2 MB parsed again and
again. Here the headers come first, the limits of that user second, and the body last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

_Model = TypeVar("_Model", bound=BaseModel)
_SMALL_BYTES: Final = 64 * 1024
"""The size that a connection always buffers."""
_AT_A_TIME: Final = 4
_NOT_JSON: Final = {"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error"}


class LargeBodies:
    """Bounds how many large bodies of one user are in memory. Further ones wait, on their connections."""

    def __init__(self) -> None:
        self._places: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, request: Request, user_id: int) -> AsyncIterator[None]:
        """Wait for a place, and hold it while the context is open. A small body needs none."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= _SMALL_BYTES:
            yield
            return
        places = self._places.setdefault(user_id, asyncio.Semaphore(_AT_A_TIME))
        async with places:
            yield


async def read(request: Request, at_most: int | None = None) -> bytes:
    """The body.

    Args:
        at_most: how many bytes are read; None if only the server's own limit applies.

    Raises:
        HTTPException: 413 if it is longer, 400 if the client has left and will not see it.
    """
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if at_most is not None and len(content) > at_most:
                raise HTTPException(413, f"The body of this request must not exceed {at_most} bytes.")
    except ClientDisconnect:
        raise HTTPException(400, "The request ended early.") from None
    return bytes(content)


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def documented_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The body of a route that calls `parse`, for the OpenAPI document."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": required, "content": {"application/json": schema}}}


def parse(model: type[_Model], content: bytes, request: Request) -> _Model:
    """A JSON body as a model.

    Raises:
        RequestValidationError: it is not JSON, not declared as JSON, or does not fit the model.
    """
    if not is_json(request):
        raise RequestValidationError([_NOT_JSON])
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None
