"""All pages of a server."""

from __future__ import annotations

from fastapi import APIRouter

from subcli.server.pages.assets import add_assets
from subcli.server.pages.home import add_home
from subcli.server.pages.logins import add_logins
from subcli.server.pages.problems import add_problems
from subcli.server.pages.submissions import add_submissions
from subcli.server.pages.visitors import visitors
from subcli.server.parts import Services


def make_pages(services: Services) -> APIRouter:
    """The routes of all pages. They are no part of the API's documentation."""
    router = APIRouter(include_in_schema=False)
    visitor = visitors(services)
    add_assets(router)
    add_home(router, services, visitor)
    add_problems(router, services, visitor)
    add_submissions(router, services, visitor)
    add_logins(router, services, visitor)
    return router
