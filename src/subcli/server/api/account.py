"""One's own account over REST: access tokens for machines, and the password."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Request

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.logins import GrantError
from subcli.server.accounts.machine_tokens import (
    MachineToken,
    TokenNameTakenError,
    TooManyTokensError,
    UnknownTokenError,
)
from subcli.server.accounts.passwords import PasswordError
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.auth import address_of, allowed, error_responses
from subcli.server.api.bodies import documented_body, parse, read
from subcli.server.observe import audit
from subcli.server.parts import AuthServices, Services
from subcli.shared.encoding import timestamp

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_MAX_BODY_BYTES: Final = 16 * 1024


def make_account_router(services: Services, auth: AuthServices, current: _Current) -> APIRouter:
    """The routes of one's own account; a login is needed for all of them."""
    router = APIRouter(prefix="/api/auth", tags=["auth"])
    changing = allowed(services, current, Action.OWN_ACCOUNT, services.watch_tokens, "tokens")
    _add_machine_tokens(router, services, auth, changing)
    _add_password(router, auth, changing)
    return router


def _add_machine_tokens(router: APIRouter, services: Services, auth: AuthServices, changing: _Current) -> None:
    store, tokens = services.store, auth.accounts.machine_tokens

    @router.post(
        "/tokens",
        status_code=201,
        responses=error_responses(401, 403, 409, 413, 422, 429),
        openapi_extra=documented_body(models.NewMachineTokenBody),
    )
    async def create_token(
        request: Request, identity: Annotated[Identity, Depends(changing)]
    ) -> models.NewMachineTokenResponse:
        """Create an access token for machines. Its text is in this answer only."""
        body = parse(models.NewMachineTokenBody, await read(request, _MAX_BODY_BYTES), request)
        try:
            made, text = await store.run(tokens.create, identity.user_id, body.name, body.scope, body.expires_in)
        except TokenNameTakenError:
            raise HTTPException(
                409, f"You have an access token named {body.name}; revoke it, or choose another name."
            ) from None
        except TooManyTokensError:
            raise HTTPException(409, "You have too many access tokens; revoke one that you do not need.") from None
        _record("access token created", identity, made, request)
        return models.NewMachineTokenResponse(**_fields(made), token=text)

    @router.get("/tokens", responses=error_responses(401, 403, 429))
    async def list_tokens(identity: Annotated[Identity, Depends(changing)]) -> models.MachineTokenListResponse:
        """List one's own access tokens for machines, without their texts."""
        found = await store.run(tokens.of_user, identity.user_id)
        return models.MachineTokenListResponse(tokens=[models.MachineTokenResponse(**_fields(each)) for each in found])

    @router.delete("/tokens/{name}", responses=error_responses(401, 403, 404, 429))
    async def revoke_token(
        name: str, request: Request, identity: Annotated[Identity, Depends(changing)]
    ) -> models.MachineTokenResponse:
        """Revoke an access token for machines, by its name or id. Its sockets are closed soon after."""
        try:
            gone = await store.run(tokens.revoke, identity.user_id, name)
        except UnknownTokenError:
            raise HTTPException(404, f"You have no access token {name[:64]!r}.") from None
        _record("access token revoked", identity, gone, request)
        return models.MachineTokenResponse(**_fields(gone))


def _add_password(router: APIRouter, auth: AuthServices, changing: _Current) -> None:
    @router.post(
        "/password",
        responses=error_responses(401, 403, 413, 422, 429, 503),
        openapi_extra=documented_body(models.PasswordBody),
    )
    async def change_password(
        request: Request, identity: Annotated[Identity, Depends(changing)]
    ) -> models.PasswordResponse:
        """Change one's own password. Other sessions end; access tokens for machines stay."""
        body = parse(models.PasswordBody, await read(request, _MAX_BODY_BYTES), request)
        try:
            await auth.logins.change_password(identity, body.old_password, body.new_password, address_of(request))
        except GrantError as error:
            # Not 401: the session is valid, and logging in again would not help.
            raise HTTPException(403, error.detail) from None
        except PasswordError as error:
            raise HTTPException(422, str(error)) from None
        return models.PasswordResponse(changed=True)


def _record(what: str, identity: Identity, token: MachineToken, request: Request) -> None:
    audit.record(what, "done", user=identity.name, client=address_of(request), token_name=token.name, scope=token.scope)


def _fields(token: MachineToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created_at": timestamp(token.created_at),
        "expires_at": timestamp(token.expires_at),
        "last_used_at": None if token.last_used_at is None else timestamp(token.last_used_at),
    }
