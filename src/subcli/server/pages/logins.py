"""Logging in and out on pages, with forms that need no script."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from subcli.server.accounts.hashing import BusyError
from subcli.server.accounts.logins import GrantError, Logins
from subcli.server.accounts.permissions import Action
from subcli.server.api.auth import address_of, read_fields, remember_device, require, with_password
from subcli.server.edge import session_cookie
from subcli.server.limits import LimitedError
from subcli.server.pages.visitors import Visitor, VisitorOf, unlimited_visitors
from subcli.server.parts import Services

_OWN_PAGE: Final = re.compile(
    r"(?:problems/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}|submissions/[0-9]{1,19}|(?=\?)|\Z)(?:\?[^#\s\\]{0,512})?"
)
"""A page of ours relative to the home page, with its query: where a login leads."""
_FOREIGN: Final = "Only a page of this server may do this. Open it again and try once more."


def add_logins(router: APIRouter, services: Services, visitor: VisitorOf) -> None:
    """Add `/login` and `/logout`; nothing in demo mode, which knows no users."""
    if services.auth is None:
        return
    logins = services.auth.logins
    whoever = unlimited_visitors(services)

    @router.get("/login")
    async def login_page(request: Request, found: Annotated[Visitor, Depends(visitor)], next: str = "") -> Response:
        if found.identity is not None:
            return _to(next)
        return found.page(request, "login.html", next=_own_page(next), error="", user="")

    @router.post("/login")
    async def login(request: Request, before: Annotated[Visitor, Depends(whoever)]) -> Response:
        _refuse_foreign(request)
        fields: dict[str, str] = {}
        try:
            fields = await read_fields(request)
            granted = await with_password(logins, fields, request)
        except (GrantError, LimitedError, BusyError) as error:
            return _again(request, fields, error)
        if "authorization" not in request.headers and before.may(Action.OWN_ACCOUNT):
            # The browser is about to forget that session, so nobody could end it any more.
            await _end(logins, request, before)
        response = _to(fields.get("next", ""))
        remember_device(response, request, logins, granted)
        session_cookie.set_cookie(response, request, logins.page_token(granted))
        return response

    @router.post("/logout")
    async def logout(request: Request, found: Annotated[Visitor, Depends(whoever)]) -> Response:
        _refuse_foreign(request)
        await _end(logins, request, found)
        response = _to("")
        session_cookie.delete_cookie(response, request)
        return response


async def _end(logins: Logins, request: Request, found: Visitor) -> None:
    if found.identity is not None and found.identity.access is not None:
        require(found.identity, Action.OWN_ACCOUNT)
        await logins.end(found.identity.access.session, found.identity.name, address_of(request))


def _again(request: Request, fields: dict[str, str], error: GrantError | LimitedError | BusyError) -> Response:
    """The form once more, with what went wrong."""
    if isinstance(error, GrantError):
        status, detail, headers = 401, error.detail, {}
    elif isinstance(error, LimitedError):
        status, detail, headers = 429, error.detail, dict(error.status.headers())
    else:
        status, headers = 503, {"Retry-After": str(error.retry_after)}
        detail = f"Too many logins at the same time; try again in {error.retry_after} s."
    shown = {"next": _own_page(fields.get("next", "")), "error": detail, "user": fields.get("username", "")[:64]}
    response = Visitor(None, has_logins=True).page(request, "login.html", status, **shown)
    response.headers.update(headers)
    return response


def _refuse_foreign(request: Request) -> None:
    """Raise HTTPException if another site's page may have sent this: neither may log anybody in or out."""
    if not session_cookie.is_from_own_page(request):
        raise HTTPException(403, _FOREIGN)


def _to(page: str) -> RedirectResponse:
    return RedirectResponse(f"./{_own_page(page)}", 303)


def _own_page(text: str) -> str:
    """The address of one of our pages, relative to the home page; that one, if it is none."""
    return text if _OWN_PAGE.fullmatch(text) else ""
