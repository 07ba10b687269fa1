"""The groups of users over REST, for teachers. Operators change them with `subcli user group`."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastapi import APIRouter, Depends

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action
from subcli.server.api import models
from subcli.server.api.auth import allowed, error_responses
from subcli.server.parts import AuthServices, Services

_Current: TypeAlias = Callable[..., Awaitable[Identity]]


def add_groups(router: APIRouter, services: Services, auth: AuthServices, current: _Current) -> None:
    """Add the route."""
    reading = allowed(services, current, Action.READ_ANY, services.reads, "requests")

    @router.get("/groups", responses=error_responses(401, 403, 429), dependencies=[Depends(reading)])
    async def groups() -> models.UserGroupListResponse:
        """List all groups of users, by name, with their members."""
        found = await services.store.run(auth.accounts.groups.all)
        return models.UserGroupListResponse(
            groups=[models.UserGroupBody(name=each.name, members=list(each.members)) for each in found]
        )
