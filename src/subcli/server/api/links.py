"""Links that show one submission to whoever follows them, over REST."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Request

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.links import Link, TooManyLinksError
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.auth import address_of, allowed, error_responses, require_own
from subcli.server.api.bodies import documented_body, parse, read
from subcli.server.log.records import Snapshot
from subcli.server.observe import audit
from subcli.server.parts import AuthServices, Services
from subcli.shared.encoding import timestamp

_Current: TypeAlias = Callable[..., Awaitable[Identity]]
_Find: TypeAlias = Callable[..., Awaitable[Snapshot]]
_PATH: Final = "/submissions/{submission_id}/links"
_MAX_BODY_BYTES: Final = 16 * 1024


def add_links(router: APIRouter, services: Services, auth: AuthServices, current: _Current, find: _Find) -> None:
    """Add the routes for the links to a submission.

    Args:
        find: a dependency: the submission, if the user may see it.
    """
    store, links = services.store, auth.accounts.links
    sharing = allowed(services, current, Action.SHARE_OWN, services.watch_tokens, "links")

    async def own(
        found: Annotated[Snapshot, Depends(find)], identity: Annotated[Identity, Depends(sharing)]
    ) -> Snapshot:
        """The submission, if it is the user's own."""
        require_own(identity, found, Action.SHARE_OWN)
        return found

    @router.post(
        _PATH,
        status_code=201,
        responses=error_responses(401, 403, 404, 409, 413, 422, 429),
        openapi_extra=documented_body(models.NewLinkBody),
    )
    async def create_link(
        found: Annotated[Snapshot, Depends(own)], identity: Annotated[Identity, Depends(current)], request: Request
    ) -> models.NewLinkResponse:
        """Create a link that shows this submission, and nothing else, to whoever follows it."""
        body = parse(models.NewLinkBody, await read(request, _MAX_BODY_BYTES), request)
        try:
            made, token = await store.run(links.create, found.id, body.expires_in)
        except TooManyLinksError:
            raise HTTPException(409, "There are too many links to this submission; revoke them first.") from None
        audit.record("link created", "done", user=identity.name, client=address_of(request), submission=found.id)
        # Behind `#`, a browser sends it to nobody: no log and no `Referer` has it.
        url = f"{request.base_url}submissions/{found.id}#link={token}"
        return models.NewLinkResponse(**_fields(made), url=url)

    @router.get(_PATH, responses=error_responses(401, 403, 404, 422, 429))
    async def list_links(found: Annotated[Snapshot, Depends(own)]) -> models.LinkListResponse:
        """List the links to a submission that work, without their addresses."""
        rows = await store.run(links.to_submission, found.id)
        return models.LinkListResponse(links=[models.LinkResponse(**_fields(each)) for each in rows])

    @router.delete(_PATH, responses=error_responses(401, 403, 404, 422, 429))
    async def revoke_links(
        found: Annotated[Snapshot, Depends(own)], identity: Annotated[Identity, Depends(current)], request: Request
    ) -> models.LinksRevokedResponse:
        """End all links to a submission. Their sockets are closed soon after."""
        count = await store.run(links.revoke, found.id)
        user, client = identity.name, address_of(request)
        audit.record("links revoked", "done", user=user, client=client, submission=found.id, links=count)
        return models.LinksRevokedResponse(revoked=count)


def _fields(link: Link) -> dict[str, Any]:
    return {"id": link.id, "created_at": timestamp(link.created_at), "expires_at": timestamp(link.expires_at)}
