"""Authentication over REST: logging in and out, and the user of a request (contract, section 6)."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from subcli.server.accounts.identity import Identity, UnauthenticatedError
from subcli.server.accounts.logins import Granted, GrantError, Logins
from subcli.server.accounts.permissions import Action, refusal
from subcli.server.api import models
from subcli.server.api.bodies import documented_body, is_json, parse, read
from subcli.server.edge import session_cookie
from subcli.server.limits import LimitedError, Rate
from subcli.server.log.records import Snapshot
from subcli.server.observe import audit
from subcli.server.parts import AuthServices, Services
from subcli.shared.encoding import timestamp

CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_SCHEME: Final = HTTPBearer(auto_error=False, description="An access token of `POST /api/auth/token`.")
_Bearer: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)]
_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_MAX_BODY_BYTES: Final = 16 * 1024
_MAX_FIELD_LENGTH: Final = 4096
_DEVICE: Final = "subcli_device"
"""The cookie that marks a browser with which somebody has logged in before. It authenticates nothing."""
_DEMO: Final = "This server runs in demo mode, without logins; `subcli serve --auth` enables them."


def current_identity(services: Services) -> _Current:
    """A dependency that returns the user of a request, or responds with 401."""

    async def current(_documented: _Bearer, request: Request) -> Identity:
        return await _authenticate(services, request)

    return current


async def _authenticate(services: Services, request: Request) -> Identity:
    try:
        shown = request.headers.getlist("authorization")
        return await services.identities.of_request(shown, session_cookie.shown(request.scope))
    except UnauthenticatedError as error:
        raise HTTPException(401, f"Not authenticated: {error.reason}.", CHALLENGE) from None


def allowed(services: Services, current: _Current, action: Action, rate: Rate | None, what: str = "") -> _Current:
    """A dependency that returns the user of a request, or responds with 403 or 429 if the user may not do this.

    Args:
        rate: how often; None for no limit.
        what: is limited, in the plural.
    """

    async def checked(identity: Annotated[Identity, Depends(current)], response: Response) -> Identity:
        require(identity, action)
        if rate is not None:
            response.headers.update(await spend(services, identity, rate, what))
        return identity

    return checked


async def spend(services: Services, identity: Identity, rate: Rate, what: str) -> Mapping[str, str]:
    """Count a request of this user. Returns headers that say how many more there may be.

    Raises:
        LimitedError: there were too many.
    """
    if not identity.is_limited:
        return {}
    status = await services.limiter.take(rate, identity.limit_key)
    if status.retry_after:
        raise LimitedError(status, f"Too many {what}; try again in {status.seconds_to_wait} s.")
    return status.headers()


def require(identity: Identity, action: Action) -> None:
    """
    Raises:
        HTTPException: 403, the user may not do this.
    """
    if not identity.may(action):
        raise HTTPException(403, refusal(identity.holder.credential, action))


def require_own(identity: Identity, found: Snapshot, action: Action) -> None:
    """
    Raises:
        HTTPException: 403, the user may not do this with a submission that the user may see.
    """
    require(identity, action)
    if found.owner_id != identity.user_id:
        raise HTTPException(403, f"You can see submission {found.id}, but only its owner may do this.")


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route responds with, for the OpenAPI document."""
    return {status: {"model": models.ErrorResponse} for status in statuses}


def make_auth_router(services: Services, current: _Current) -> APIRouter:
    """The routes under `/api/auth`; in demo mode a single one that explains why there are none."""
    router = APIRouter(prefix="/api/auth", tags=["auth"])
    if services.auth is None:
        _add_demo_notice(router)
    else:
        _add_token(router, services.auth.logins)
        _add_logout(router, services, services.auth.logins)
        _add_me(router, current)
    return router


def _add_demo_notice(router: APIRouter) -> None:
    @router.api_route("/{path:path}", methods=["GET", "POST", "DELETE"], include_in_schema=False)
    async def no_logins(path: str) -> Response:
        raise HTTPException(404, _DEMO)


def _add_token(router: APIRouter, logins: Logins) -> None:
    body = {"schema": models.TokenBody.model_json_schema()}
    documented = {
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": body, "application/json": body},
        }
    }

    @router.post(
        "/token",
        response_model=models.TokenResponse,
        responses=error_responses(400, 401, 413, 429, 503),
        openapi_extra=documented,
    )
    async def token(request: Request) -> Response:
        """Log in with a password, or refresh a session (RFC 6749, sections 4.3 and 6)."""
        try:
            granted = await _grant(logins, await read_fields(request), request)
        except GrantError as error:
            status = 401 if error.error == "invalid_grant" else 400
            answer = {"detail": error.detail, "error": error.error}
            return JSONResponse(answer, status, headers=CHALLENGE if status == 401 else None)
        response = JSONResponse(
            {
                "access_token": granted.access_token,
                "token_type": "bearer",
                "expires_in": granted.expires_in,
                "refresh_token": granted.refresh_token,
            },
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )
        remember_device(response, request, logins, granted)
        return response


def remember_device(response: Response, request: Request, logins: Logins, granted: Granted) -> None:
    """Mark the browser as one with which this user has logged in."""
    device, seconds = logins.device(granted)
    response.set_cookie(
        session_cookie.own_name(_DEVICE, request),
        device,
        seconds,
        path=session_cookie.own_path(request),
        httponly=True,
        samesite="strict",
        secure=session_cookie.is_secure(request),
    )


async def with_password(logins: Logins, fields: Mapping[str, str], request: Request) -> Granted:
    """Log in with the `username` and the `password` in these fields. Raises what `Logins.with_password` does."""
    name, password = _field(fields, "username"), _field(fields, "password")
    device = request.cookies.get(session_cookie.own_name(_DEVICE, request))
    return await logins.with_password(name, password, address_of(request), device)


async def _grant(logins: Logins, fields: Mapping[str, str], request: Request) -> Granted:
    kind = fields.get("grant_type")
    if kind == "password":
        return await with_password(logins, fields, request)
    if kind == "refresh_token":
        return await logins.with_refresh_token(_field(fields, "refresh_token"), address_of(request))
    if kind is None:
        raise GrantError("invalid_request", "'grant_type' is missing.")
    raise GrantError("unsupported_grant_type", "'grant_type' must be 'password' or 'refresh_token'.")


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _field(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "")
    if not value or len(value) > _MAX_FIELD_LENGTH:
        raise GrantError("invalid_request", f"{name!r} is missing, or longer than {_MAX_FIELD_LENGTH} characters.")
    return value


async def read_fields(request: Request) -> dict[str, str]:
    """The string fields of a form or a JSON object.

    Raises:
        GrantError: the body is neither.
    """
    content = await read(request, _MAX_BODY_BYTES)
    try:
        text = content.decode()
        fields = json.loads(text) if is_json(request) else dict(parse_qsl(text, errors="strict", max_num_fields=20))
        if not isinstance(fields, dict):
            raise GrantError("invalid_request", "The request body must be a JSON object.")
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        "".join(texts.values()).encode()
    except (ValueError, RecursionError):
        raise GrantError("invalid_request", "The request body must be a form or JSON.") from None
    return texts


def _add_logout(router: APIRouter, services: Services, logins: Logins) -> None:
    @router.post(
        "/logout",
        responses=error_responses(401, 403, 413, 422, 429),
        openapi_extra=documented_body(models.LogoutBody, required=False),
    )
    async def logout(_documented: _Bearer, request: Request) -> models.LogoutResponse:
        """End the session of the access token or, once that has expired, of the refresh token in the body."""
        content = await read(request, _MAX_BODY_BYTES)
        has_body = content.strip() not in (b"", b"null")
        token = parse(models.LogoutBody, content, request).refresh_token if has_body else None
        if token is not None:
            await logins.end_with_refresh_token(token, address_of(request))
            return models.LogoutResponse(logged_out=True)
        identity = await _authenticate(services, request)
        require(identity, Action.OWN_ACCOUNT)
        if identity.access is not None:
            await logins.end(identity.access.session, identity.name, address_of(request))
        return models.LogoutResponse(logged_out=True)


def _add_me(router: APIRouter, current: _Current) -> None:
    @router.get("/me", responses=error_responses(401))
    async def me(identity: Annotated[Identity, Depends(current)]) -> models.IdentityResponse:
        """The user of the access token, and when the token expires."""
        access = identity.access
        holder = identity.holder
        return models.IdentityResponse(
            user=identity.name,
            expires_at=None if access is None else timestamp(access.expires),
            role=holder.role,
            credential=holder.credential,
            token_name=holder.token_name,
        )


def watch_token(
    auth: AuthServices, identity: Identity, submission_id: int, request: Request
) -> models.WatchTokenResponse:
    """Issue a token for one socket on a submission that belongs to `identity`."""
    if identity.access is None:
        raise HTTPException(404, _DEMO)
    token, seconds = auth.tokens.watch(identity.access, submission_id)
    audit.record(
        "watch token",
        "granted",
        user=identity.name,
        client=address_of(request),
        session=identity.access.session,
        submission=submission_id,
    )
    return models.WatchTokenResponse(token=token, expires_in=seconds)
