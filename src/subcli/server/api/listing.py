"""Lists of submissions for a request. The only place that decides whose submissions a list may show."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, NamedTuple

from fastapi import HTTPException, Query

from subcli.server.accounts.groups import UnknownGroupError
from subcli.server.accounts.identity import Identity
from subcli.server.accounts.names import name_key
from subcli.server.accounts.permissions import Action
from subcli.server.api.auth import require
from subcli.server.log.listing import Filter, ListCursor, ListPage
from subcli.server.log.records import Snapshot
from subcli.server.parts import Services

_WORD: Final = r"^[A-Za-z0-9_-]+$"

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of results.")]
User = Annotated[str | None, Query(max_length=256, description="Whose; for teachers.")]
Group = Annotated[str | None, Query(max_length=64, description="Only those of this group's members; for teachers.")]
All = Annotated[bool, Query(description="Whether to list everybody's, if no `user` is given; for teachers.")]
Verdict = Annotated[str | None, Query(max_length=32, pattern=_WORD, description="Only those with this verdict.")]
Status = Annotated[
    str | None,
    Query(max_length=32, pattern=_WORD, description="Only those with this status, such as `pending` or `completed`."),
]
Since = Annotated[datetime | None, Query(description="Only those submitted then or later; without a zone: UTC.")]
After = Annotated[
    str | None,
    Query(max_length=64, description="Where the page begins: the `next_cursor` of the page before, same filters."),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for.

    Attributes:
        user: the name of one user; None for oneself, or for everybody with `all`.
        all: everybody's, if no `user` is given.
        problem: a slug.
        cursor: of the page before; None for the first page.
        group: the name of a group: everybody's in it, or that of `user` if they are in it.
    """

    user: str | None = None
    all: bool = False
    problem: str | None = None
    verdict: str | None = None
    status: str | None = None
    since: datetime | None = None
    limit: int = 20
    cursor: str | None = None
    group: str | None = None

    @property
    def is_about_others(self) -> bool:
        """Whether the names of users belong to the answer."""
        return self.all or self.user is not None or self.group is not None


class Listed(NamedTuple):
    """A page, and the names of the users in it by their ids; in demo mode, and in lists of one's own, none."""

    page: ListPage
    names: Mapping[int, str]

    def user_of(self, row: Snapshot) -> str | None:
        """The name of the user who submitted this, if names belong to the answer."""
        return self.names.get(row.owner_id)


async def list_visible(services: Services, identity: Identity, wanted: Wanted) -> Listed:
    """List submissions that this user may see, newest first.

    Raises:
        HTTPException: 403, the user may not list those, whether or not there are any; 404, there is no such user or
            group; 422, the cursor is none.
    """
    require(identity, Action.LIST_OWN)
    try:
        after = None if wanted.cursor is None else ListCursor.of(wanted.cursor)
    except ValueError as error:
        raise HTTPException(422, f"cursor: {error}.") from None
    group = await group_of_listed(services, identity, wanted.group)
    for_all = wanted.all or group is not None
    chosen = Filter(
        owner_id=await owner_of_listed(services, identity, wanted.user, all=for_all),
        problem=wanted.problem,
        verdict=wanted.verdict,
        status=wanted.status,
        since=None if wanted.since is None else unix_time(wanted.since),
        group=group,
    )
    page = await services.store.run(services.store.listing.page, chosen, wanted.limit, after)
    names: Mapping[int, str] = {}
    if services.auth is not None and wanted.is_about_others:
        names = await services.store.run(services.auth.accounts.users.names, {row.owner_id for row in page.rows})
    return Listed(page, names)


async def owner_of_listed(services: Services, identity: Identity, user: str | None, *, all: bool) -> int | None:
    """Whose submissions this user gets to see who asks for those of `user`, or for `all`; None for everybody's.

    Raises:
        HTTPException: 403, the user may not list those, whether or not there are any; 404, there is no such user.
    """
    if services.auth is None or (user is None and not all):
        return identity.user_id
    if user is None or (name_key(user) != name_key(identity.name)):
        require(identity, Action.READ_ANY)
    if user is None:
        return None
    found = await services.store.run(services.auth.accounts.users.find, user)
    if found is None:
        raise HTTPException(404, f"There is no user {user[:64]!r}.")
    return found.id


async def group_of_listed(services: Services, identity: Identity, group: str | None) -> str | None:
    """The key of a group whose submissions are asked for; None if none is.

    Raises:
        HTTPException: 403, the user may not list those, whether or not there is such a group; 404, there is none.
    """
    if group is None:
        return None
    require(identity, Action.READ_ANY)
    try:
        if services.auth is not None:
            return await services.store.run(services.auth.accounts.groups.key, group)
    except UnknownGroupError:
        pass
    raise HTTPException(404, f"There is no group {group[:64]!r}.")


def unix_time(moment: datetime) -> float:
    """A moment as Unix time in seconds; without a zone it is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
