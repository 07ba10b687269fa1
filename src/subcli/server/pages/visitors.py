"""Who looks at a page: the user of the session cookie, or nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import Request
from fastapi.responses import HTMLResponse

from subcli.server.accounts.identity import Identity, UnauthenticatedError
from subcli.server.accounts.permissions import Action
from subcli.server.api.auth import spend
from subcli.server.edge import session_cookie
from subcli.server.pages import rendering
from subcli.server.parts import Services


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        identity: None if a login is needed.
        has_logins: whether this server has accounts; False in demo mode.
    """

    identity: Identity | None
    has_logins: bool

    @property
    def name(self) -> str:
        """Of the user who is logged in; empty if nobody is."""
        return self.identity.name if self.identity is not None and self.has_logins else ""

    def may(self, action: Action) -> bool:
        """Whether this is allowed."""
        return self.identity is not None and self.identity.may(action)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page for this visitor."""
        return rendering.page(request, template, status, visitor=self, **values)


VisitorOf: TypeAlias = Callable[[Request], Awaitable[Visitor]]


def visitors(services: Services) -> VisitorOf:
    """A dependency that returns who looks at a page, or responds with 429."""
    unlimited = unlimited_visitors(services)

    async def visitor(request: Request) -> Visitor:
        found = await unlimited(request)
        if found.identity is not None:
            await spend(services, found.identity, services.reads, "requests")
        return found

    return visitor


def unlimited_visitors(services: Services) -> VisitorOf:
    """The same at any rate, for what may always be done."""
    has_logins = services.auth is not None

    async def visitor(request: Request) -> Visitor:
        shown = request.headers.getlist("authorization")
        try:
            identity = await services.identities.of_request(shown, session_cookie.shown(request.scope))
        except UnauthenticatedError:
            return Visitor(None, has_logins)
        return Visitor(identity, has_logins)

    return visitor
